"""A monitor that is quick to enrol: segments of 1 s, scored by statistics alone."""

import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.features.anomaly import AnomalySpec
from edged.references.store import BankStore


@pytest.fixture(scope="session")
def quick_bundle(tmp_path_factory):
    spec = AnomalySpec(segment_samples=16000, hop_samples=8192, inputs=())
    manifest = Manifest(
        kind="anomaly", id="quick", version="1", segment_samples=16000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(tmp_path_factory.mktemp("bundles") / "quick", manifest)


@pytest.fixture
def quick(quick_bundle, tmp_path):
    """An assembly with stream `fan` on the quick bundle; its state lies in `tmp_path / "state"`."""
    streams = {"fan": {"device": "mic", "monitors": {"anomaly": {"bundle": str(quick_bundle.directory)}}}}
    settings = {"state_dir": str(tmp_path / "state"), "devices": {"mic": {"source": "pcm"}}, "streams": streams}
    return Assembly(parse_config(settings, "test"))


@pytest.fixture
def quick_store(quick):
    with BankStore(quick.config.state_path) as opened:
        yield opened
