"""The streaming form of a keyword network computes the same rows, for any length of its segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from edged.assembly import open_bundle
from edged.embed.bundle import Bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.features.keyword import KeywordSpec
from edged.flow import Float32Array
from edged.frontend import speech_rows
from edged.pipeline import embed_signal
from trainer.keyword_bundle import Decision, write_keyword_bundle
from trainer.keyword_bundle import embed_signal as embed_in_torch
from trainer.models.speech_trunk import SpeechTrunk
from trainer.streaming_form import lift, main, with_segments

SIGNAL = (np.random.default_rng(0).standard_normal(30_000) * 0.05).astype(np.float32)


def written(directory: Path, network: nn.Module, **spec: int) -> Bundle:
    background = np.ones((4, 4), dtype=np.float32)
    facts = {"bundle_id": "tiny", "version": "1", "training": {}, "card": "of a test"}
    return write_keyword_bundle(
        directory, network, KeywordSpec(**spec), background, decision=Decision(), **facts  # type: ignore[arg-type]
    )  # fmt: skip


def rows_of(bundle: Bundle) -> Float32Array:
    rows = [one.vectors["speech"] for one in embed_signal(SIGNAL, bundle, OnnxEmbedder(bundle))]
    return np.concatenate(rows)[: len(SIGNAL) // 256]


@pytest.fixture
def whole(tmp_path: Path) -> Bundle:
    """Of a network that sees all its frames to come; its normalisations do something."""
    torch.manual_seed(0)
    return written(tmp_path / "whole", with_statistics(SpeechTrunk(width=8, dim=4)))


def with_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2.0)
    return network


@pytest.mark.parametrize("segment_frames", [1, 2, 8, 30])
def test_a_network_gives_the_same_rows_however_many_at_once(tmp_path: Path, whole: Bundle, segment_frames: int) -> None:
    cut = with_segments(whole, tmp_path / "cut", segment_frames)
    assert cut.manifest.segment_samples == segment_frames * 256
    assert (cut.directory / "card.md").read_text() == (whole.directory / "card.md").read_text()
    np.testing.assert_array_equal(speech_rows(cut), speech_rows(whole))
    np.testing.assert_allclose(rows_of(cut), rows_of(whole), atol=2e-5)


@pytest.mark.parametrize("segment_frames", [1, 4])
def test_of_the_frames_to_come_the_last_that_is_seen_stands_for_the_rest(
    tmp_path: Path, whole: Bundle, segment_frames: int
) -> None:
    cut = with_segments(whole, tmp_path / "cut", segment_frames, context_right_frames=6)
    assert cut.manifest.features["context_right_frames"] == 6
    assert cut.manifest.features_digest != whole.manifest.features_digest
    frames = np.random.default_rng(0).uniform(-1.0, 2.0, (1, 22 + segment_frames + 6, 64)).astype(np.float32)
    repeated = np.concatenate([frames, np.repeat(frames[:, -1:], 4, axis=1)], axis=1)
    expected = found_by(with_segments(whole, tmp_path / "plain", segment_frames), repeated)
    np.testing.assert_allclose(found_by(cut, frames), expected, atol=1e-6)
    assert rows_of(cut).shape == rows_of(whole).shape


def test_the_shipped_network_sees_six_frames_to_come() -> None:
    """96 ms and not the 160 that it was trained with: words are told 64 ms sooner."""
    manifest = open_bundle("keyword").manifest
    assert manifest.features["context_right_frames"] == 6
    assert manifest.model is not None
    assert manifest.model.inputs[0].shape == (22 + 4 + 6, 64)


@pytest.mark.parametrize("context_right_frames", [-1, 11])
def test_a_network_sees_no_more_than_it_was_trained_to_and_no_less_than_nothing(
    tmp_path: Path, whole: Bundle, context_right_frames: int
) -> None:
    with pytest.raises(BundleError, match=f"sees 10 frames to come, not {context_right_frames}"):
        with_segments(whole, tmp_path / "out", 4, context_right_frames=context_right_frames)
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_is_refused_in_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    """A front end that cannot be was a traceback."""
    for asked, told in (("--segment-frames=0", "segment_frames = 0: "), ("--context-right-frames=-1", "not -1; give")):
        monkeypatch.setattr("sys.argv", ["streaming_form", "keyword", str(tmp_path / "out"), asked])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_that_repeats_its_last_frame_is_not_cut_otherwise(tmp_path: Path, whole: Bundle) -> None:
    sooner = with_segments(whole, tmp_path / "sooner", 4, context_right_frames=2)
    with pytest.raises(BundleError, match="repeats its last frame already"):
        with_segments(sooner, tmp_path / "out", 8)
    with pytest.raises(BundleError, match="repeats its last frame already"):
        with_segments(sooner, tmp_path / "out", 4, context_right_frames=1)


def found_by(bundle: Bundle, frames: Float32Array) -> Float32Array:
    session = ort.InferenceSession(str(bundle.model_path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"frames": frames})[0])


def test_no_parity_is_stated_of_networks_that_are_left_out(tmp_path: Path) -> None:
    """The manifest went on to state the parity of an FP16 network that was not there any more."""
    cut = with_segments(open_bundle("keyword"), tmp_path / "cut", 4)
    assert cut.typed_model_path("fp16") is None
    assert set(cut.manifest.parity) == {"onnx_vs_torch_max_relative_error", "streaming_form_max_relative_error"}


def test_what_is_exported_is_in_streaming_form(tmp_path: Path) -> None:
    bundle = written(tmp_path / "tiny", with_statistics(SpeechTrunk(width=8, dim=4)))
    assert bundle.manifest.parity["onnx_vs_torch_max_relative_error"] < 1e-4
    assert bundle.model_path is not None
    model = onnx.load(str(bundle.model_path))
    assert {len(tensor.dims) for tensor in model.graph.initializer if "Conv" in tensor.name} <= {1, 4}
    assert not lift(model)


@pytest.mark.parametrize("n_samples", [30_000, 29_000, 4000])
def test_torch_gives_the_rows_of_the_form_that_is_exported(tmp_path: Path, n_samples: int) -> None:
    """The background of a bundle was embedded by a network that sees more than the one in it."""

    class Ahead(nn.Module):
        """Gives the frame that it sees last."""

        def forward(self, frames: Tensor) -> Tensor:
            return frames[:, 32:, :4] + 3.0

    network, spec, background = Ahead(), KeywordSpec(), np.ones((4, 4), dtype=np.float32)
    bundle = write_keyword_bundle(
        tmp_path / "seen", network, spec, background, bundle_id="tiny", version="1", decision=Decision(), training={},
        card="", seen_right_frames=6,
    )  # fmt: skip
    samples = SIGNAL[:n_samples]
    expected = np.concatenate([one.vectors["speech"] for one in embed_signal(samples, bundle, OnnxEmbedder(bundle))])
    found = embed_in_torch(network, samples, spec, 6)
    assert len(found) == -(-n_samples // 256)
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-5)
    assert np.abs(embed_in_torch(network, samples, spec) - found).max() > 1e-3


def test_a_network_whose_rows_depend_on_the_segment_is_refused(tmp_path: Path) -> None:
    class Centred(nn.Module):
        """Takes the segment's mean away."""

        def forward(self, frames: Tensor) -> Tensor:
            rows = frames[:, 22:-10, :4]
            return rows - rows.mean(dim=1, keepdim=True) + torch.ones(4)

    bundle = written(tmp_path / "centred", Centred(), segment_frames=8)
    with pytest.raises(BundleError, match="its rows differ"):
        with_segments(bundle, tmp_path / "out", 4)
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_our_own_is_not_taken_for_a_network_that_cannot_be_cut(tmp_path, monkeypatch) -> None:
    # whatever was raised read as "only networks without padding in time can be cut otherwise"
    def broken(*_):
        raise MemoryError

    monkeypatch.setattr("trainer.streaming_form._rows", broken)
    with pytest.raises(MemoryError):
        with_segments(open_bundle("keyword"), tmp_path / "out", 4)


def test_other_bundles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no keyword bundle"):
        with_segments(open_bundle("anomaly"), tmp_path / "out", 4)
