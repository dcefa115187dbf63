"""A small anomaly bundle, clips of normal sound, a plant to watch, and the command line."""

import pytest
import soundfile

from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.features.anomaly import AnomalySpec
from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.integration.helpers import RATE_HZ, Plant, hum


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory):
    """Segments of 1 s, scored by statistics alone: quick to enrol and to decide."""
    spec = AnomalySpec(segment_samples=16000, hop_samples=4096, inputs=())
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=4096,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(tmp_path_factory.mktemp("bundles") / "small", manifest).directory


@pytest.fixture(scope="session")
def normal_clips(tmp_path_factory):
    directory = tmp_path_factory.mktemp("normal")
    for seed in range(12):
        soundfile.write(directory / f"{seed}.wav", hum(3.0, seed), RATE_HZ, subtype="FLOAT")
    return directory


@pytest.fixture
def plant(tmp_path, small_bundle):
    return Plant(tmp_path, small_bundle)
