"""The demo's spoken words: small recordings of synthetic voices, shipped as package data."""

from __future__ import annotations

from importlib import resources

import numpy as np
import soundfile as sf

from edged.flow import SAMPLE_RATE_HZ, Float32Array

ENROLMENT_CLIPS = ("maintenance-enrol-1", "maintenance-enrol-2", "maintenance-enrol-3")


def spoken_clip(name: str) -> Float32Array:
    """A word without silence around it, RMS 1: float32 (n,), 16 kHz."""
    with (resources.files("edged.demo") / "words" / f"{name}.ogg").open("rb") as handle:
        samples, _ = sf.read(handle, dtype="float32")
    return np.asarray(samples / np.sqrt(np.mean(np.square(samples))), np.float32)


def clip_duration_s(name: str) -> float:
    """How long a word takes."""
    return len(spoken_clip(name)) / SAMPLE_RATE_HZ
