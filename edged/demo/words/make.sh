#!/usr/bin/env bash
# Made the clips beside it: espeak-ng speaks, silence is cut off at both ends, 16 kHz mono OGG/Vorbis is stored.
# Needs espeak-ng and an environment with edged. The text, speed and pitch of every clip stand in this file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

speak() { # FILE WORD VOICE PITCH WORDS_PER_MINUTE
    espeak-ng -v "$3" -p "$4" -s "$5" --stdout "$2" | python3 -c '
import io, sys
import numpy as np, soundfile, soxr
samples, rate_hz = soundfile.read(io.BytesIO(sys.stdin.buffer.read()), dtype="float32")
samples = soxr.resample(samples, rate_hz, 16000)
samples *= 0.7 / np.abs(samples).max()
loud = np.flatnonzero(np.convolve(np.abs(samples), np.ones(80) / 80, "same") > 0.01)
soundfile.write(sys.argv[1], samples[loud[0] : loud[-1] + 1], 16000, format="OGG", subtype="VORBIS")
' "$1.ogg"
}

speak maintenance-enrol-1 maintenance en-us+m3 45 150
speak maintenance-enrol-2 maintenance en-gb+f2 55 140
speak maintenance-enrol-3 maintenance en-us+klatt4 40 145

speak maintenance-1 maintenance en-us+f4 50 150
speak maintenance-2 maintenance en-gb+m1 50 145
speak maintenance-3 maintenance en-gb-x-rp+Andy 45 150
speak maintenance-4 maintenance en-us+Annie 50 140

speak ventilation-1 ventilation en-us+m3 45 150
speak forklift-1 forklift en-us+f4 50 150
speak warehouse-1 warehouse en-gb+m1 50 145
speak attention-1 attention en-gb-x-rp+Andy 45 150
speak conveyor-1 conveyor en-us+Annie 50 140
