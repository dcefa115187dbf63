"""A state directory, short reference clips, and the fake GPU."""

import numpy as np
import pytest

from edged.assembly import Assembly, open_bundle
from edged.compile import judges, reference, run
from edged.config import Config
from edged.embed.onnx import OnnxEmbedder
from tests.fakes.accelerator import accelerator
from tests.fakes.tensorrt import VERSIONS


@pytest.fixture(scope="session")
def keyword_bundle():
    return open_bundle("keyword")


@pytest.fixture
def assembly(tmp_path):
    return Assembly(Config(state_dir=tmp_path / "state"))


@pytest.fixture(scope="session")
def probe(keyword_bundle):
    """The bank of reference words, made once."""
    return judges.probe_judge(keyword_bundle, OnnxEmbedder(keyword_bundle), [])


@pytest.fixture
def few_words(monkeypatch, probe):
    """Three seconds of the reference words instead of all, and the bank of all of them."""
    whole = reference.spoken_signal()
    monkeypatch.setattr(reference, "spoken_signal", lambda: np.array(whole[:60_000]))
    monkeypatch.setattr(run, "probe_judge", lambda *_: probe)


@pytest.fixture
def newest():
    with accelerator(VERSIONS[-1]) as made:
        yield made
