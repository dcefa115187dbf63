"""What an engine is compared on: the same sound for every bundle of a kind, made or spoken, never heard by training.

Machines of the demo, noise, tones and strikes at many levels, and spoken words; a bundle may add its own, stored as
`reference_audio` in its calibration: float (n, n_samples), full scale = 1, 16 kHz.
"""

from __future__ import annotations

import numpy as np

from edged.demo.machines import Press, Pump
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.embed.bundle import Bundle
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array, Float64Array, Segment
from edged.frontend import front_end

REFERENCE_AUDIO = "reference_audio"
_SEED = 20
_CLIP_S = 10.0
N_SOUND = 8
_WORDS = ("attention-1", "conveyor-1", "forklift-1", "maintenance-1", "maintenance-2", "ventilation-1", "warehouse-1")
_PAUSE_S = 0.4
_MOST_STORED = 64


def reference_signals(bundle: Bundle) -> list[Float32Array]:
    """Clips for a bundle, float32 (n,), 16 kHz: the same ones on every computer."""
    made = machine_signals() if bundle.manifest.kind == "anomaly" else [spoken_signal()]
    return [*made, *_stored(bundle)]


def reference_clips(bundle: Bundle) -> list[list[Segment]]:
    """The segments of every clip, as the front end of the bundle gives them."""
    clips = []
    for samples in reference_signals(bundle):
        features = front_end(bundle)
        clips.append([*features.push(Block(0, samples)), *features.flush()])
    return clips


def machine_signals() -> list[Float32Array]:
    """A pump at several loads and levels (the first N_SOUND), the same one broken, a press, and what is no machine."""
    rng = np.random.default_rng(_SEED)
    n_samples = int(_CLIP_S * SAMPLE_RATE_HZ)
    pump, press = Pump.drawn(rng), Press.drawn(rng)
    time_s = np.arange(n_samples) / SAMPLE_RATE_HZ
    clips: list[Float32Array | Float64Array] = [_running(pump, 0.0, rng) for _ in range(N_SOUND)]
    clips += [_running(pump, fault, rng) for fault in (0.2, 0.4, 0.7, 1.0)]
    clips += [_running(press, fault, rng) for fault in (0.0, 0.7)]
    clips.append(rng.standard_normal(n_samples))
    clips.append(np.sin(2 * np.pi * 997.0 * time_s) + 1e-3 * rng.standard_normal(n_samples))
    clips.append(np.where(np.arange(n_samples) % 8000 < 40, 1.0, 1e-4) * rng.standard_normal(n_samples))
    levels = 10.0 ** rng.uniform(-2.5, -0.8, len(clips))
    return [
        np.asarray(clip * (level / np.sqrt(np.mean(np.square(clip)))), np.float32)
        for clip, level in zip(clips, levels, strict=True)
    ]


def _running(machine: Pump | Press, fault: float, rng: np.random.Generator) -> Float32Array:
    """A machine at a load of its own."""
    n_samples = int(_CLIP_S * SAMPLE_RATE_HZ)
    load = np.full(n_samples, rng.uniform(0.3, 0.7), np.float32)
    return machine.sound(load, np.full(n_samples, fault, np.float32), rng)


def spoken_signal() -> Float32Array:
    """Words of several voices with pauses of faint noise between them."""
    rng = np.random.default_rng(_SEED)
    pause = np.zeros(int(_PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    words = [part for name in (*ENROLMENT_CLIPS, *_WORDS) for part in (pause, 0.05 * spoken_clip(name))]
    signal = np.concatenate([*words, pause])
    return np.asarray(signal + 1e-4 * rng.standard_normal(len(signal)), np.float32)


def _stored(bundle: Bundle) -> list[Float32Array]:
    stored = bundle.calibration.get(REFERENCE_AUDIO)
    if stored is None or stored.ndim != 2 or not np.isfinite(stored).all():
        return []
    return [np.asarray(row, np.float32) for row in stored[:_MOST_STORED]]
