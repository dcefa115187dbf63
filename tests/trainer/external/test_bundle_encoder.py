"""The shipped bundles as encoders give what the product embeds."""

from pathlib import Path

import numpy as np
import pytest

from edged.assembly import open_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.pipeline import embed_signal
from tests.fakes.sounds import machine, word
from trainer.external.bundle_encoder import open_encoder


def test_anomaly_bundle_gives_its_segments_embeddings() -> None:
    clip = machine(11.0, seed=1)
    bundle = open_bundle("anomaly")
    expected = [e.vectors["embedding"] for e in embed_signal(clip, bundle, OnnxEmbedder(bundle))]
    encoder = open_encoder("anomaly")
    np.testing.assert_array_equal(encoder.vectors(clip), np.stack(expected))
    assert (encoder.label, encoder.dim) == ("edged-anomaly", 256)


def test_keyword_bundle_gives_means_over_960_ms() -> None:
    clip = np.resize(word("afternoon", 0), 32_000)
    bundle = open_bundle("keyword")
    frames = np.concatenate([e.vectors["speech"] for e in embed_signal(clip, bundle, OnnxEmbedder(bundle))])
    expected = np.stack([frames[:60].mean(axis=0), frames[60:120].mean(axis=0)])
    encoder = open_encoder("keyword")
    np.testing.assert_allclose(encoder.vectors(clip), expected, rtol=1e-5, atol=1e-6)
    assert encoder.vectors(clip[:4000]).shape == (1, 128)


def test_no_such_encoder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        open_encoder(str(tmp_path / "absent.onnx"))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_encoder(str(tmp_path))
