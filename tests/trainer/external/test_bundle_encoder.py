"""The shipped bundles as encoders give what the product embeds."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edged
from edged.assembly import open_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AudioError, BundleError
from edged.pipeline import embed_signal
from tests.fakes.sounds import machine, word
from trainer.export import export_onnx
from trainer.external.bundle_encoder import open_encoder
from trainer.models.compact import CompactDualBranch


def test_anomaly_bundle_gives_its_segments_embeddings() -> None:
    clip = machine(11.0, seed=1)
    bundle = open_bundle("anomaly")
    expected = [e.vectors["embedding"] for e in embed_signal(clip, bundle, OnnxEmbedder(bundle))]
    encoder = open_encoder("anomaly")
    np.testing.assert_array_equal(encoder.vectors(clip), np.stack(expected))
    assert (encoder.label, encoder.dim) == ("edged-anomaly", 128)


def test_keyword_bundle_gives_means_over_960_ms() -> None:
    clip = np.resize(word("afternoon", 0), 32_000)
    bundle = open_bundle("keyword")
    frames = np.concatenate([e.vectors["speech"] for e in embed_signal(clip, bundle, OnnxEmbedder(bundle))])
    expected = np.stack([frames[:60].mean(axis=0), frames[60:120].mean(axis=0)])
    encoder = open_encoder("keyword")
    np.testing.assert_allclose(encoder.vectors(clip), expected, rtol=1e-5, atol=1e-6)
    assert encoder.vectors(clip[:4000]).shape == (1, 128)


@pytest.mark.parametrize("name", ["anomaly", "keyword"])
def test_what_is_no_sound_is_refused(name: str) -> None:
    """An empty clip ended in a traceback, one that is not finite blamed the bundle."""
    encoder = open_encoder(name)
    for clip in (np.zeros(0, np.float32), np.full(16_000, np.nan, np.float32)):
        with pytest.raises(AudioError, match="empty or not finite"):
            encoder.vectors(clip)


def test_no_such_encoder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        open_encoder(str(tmp_path / "absent.onnx"))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_encoder(str(tmp_path))


def test_a_shipped_network_runs_as_a_mere_onnx_file(tmp_path: Path) -> None:
    """The keyword network wants 32 log-mel frames and gives 4 vectors of 128."""
    shipped = Path(edged.__file__).parent / "bundles"
    path = tmp_path / "speech.onnx"
    path.write_bytes((shipped / "keyword" / "model.onnx").read_bytes())
    front_end = "n_mels: 64, n_fft: 1024, hop_samples: 256, fmin_hz: 50, log_base: db, mean: 0, std: 20"
    path.with_suffix(".yaml").write_text(f"hop_s: 0.064\nlog_mel: {{{front_end}}}\n")
    encoder = open_encoder(str(path))
    assert encoder.vectors(np.resize(word("afternoon", 0), 31 * 256 + 1024 + 3 * 1024)).shape == (4 * 4, 128)


def test_a_network_of_two_branches_as_a_mere_onnx_file_is_refused(tmp_path: Path) -> None:
    examples = {"log_mel": torch.zeros(2, 311, 128), "spectrum": torch.zeros(2, 80_000)}
    path = tmp_path / "dual.onnx"
    export_onnx(CompactDualBranch(dim=8).eval(), examples, ["embedding"], path)
    with pytest.raises(BundleError, match=r"takes 2 inputs \('log_mel', 'spectrum'\)"):
        open_encoder(str(path))
