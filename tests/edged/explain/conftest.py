"""A hum that was enrolled, and the same hum with a planted tone: the bundles are the shipped one and a small one."""

import numpy as np
import pytest

from edged.assembly import Assembly, open_bundle
from edged.config import Config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.explain.judge import Judge
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.frontend import anomaly_spec
from edged.references.anomaly import extended_bank
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples

RATE_HZ = 16000


def hum(seconds, seed, tone=None):
    """Harmonics of 50 Hz in noise; `tone` is (frequency in Hz, from s, to s, amplitude)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 12))
    sound = 0.05 * sound + 0.02 * rng.standard_normal(len(t))
    if tone is not None:
        frequency_hz, start_s, end_s, amplitude = tone
        sound += amplitude * np.sin(2 * np.pi * frequency_hz * t) * ((t >= start_s) & (t < end_s))
    return sound.astype(np.float32)


def judge_with(bundle, seconds):
    embedder = Assembly(Config()).embedder(bundle)
    spec = anomaly_spec(bundle)
    clips = []
    for seed in range(8):
        samples = hum(seconds, seed)
        clips.append(
            (clip_of_samples(f"hum-{seed}", samples, ANOMALY_CLIPS), embedder.embed(clip_segments(samples, spec)))
        )
    return Judge(extended_bank(bundle, None, clips, "source"), embedder), spec


@pytest.fixture(scope="session")
def shipped():
    """Judge and front end of the bundle that ships with edged."""
    return judge_with(open_bundle("anomaly"), 10.0)


def small_bundle(directory, statistics, inputs=()):
    spec = AnomalySpec(segment_samples=32000, hop_samples=8192, inputs=inputs, n_mels=64, statistics=statistics)
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=32000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=tuple(
            RepresentationSpec(name=name, source="features", dim=64 * len(names), backend="density")
            for name, names in statistics.items()
        ),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(directory, manifest)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Judge and front end of a bundle of 2 s that scores one vector of statistics."""
    return judge_with(small_bundle(tmp_path_factory.mktemp("b") / "small", {"mean": ("mean", "std")}), 4.0)


@pytest.fixture(scope="session")
def without_levels(tmp_path_factory):
    """Judge and front end of a bundle whose bank tells no levels."""
    return judge_with(small_bundle(tmp_path_factory.mktemp("b") / "spread", {"spread": ("std", "change")}), 4.0)
