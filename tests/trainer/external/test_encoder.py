"""ONNX encoders of the usual kinds: what reaches the network, and what comes back."""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from onnx import TensorProto

from edged.errors import AudioError
from tests.trainer.external.encoders import TinyConvolution, TinyImage, exported, halves, with_sidecar
from trainer.external.encoder import OnnxEncoder
from trainer.external.log_mel import log_mel_frames
from trainer.external.sidecar import LogMelInput

RATE = 16_000
WINDOW = 15_360


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_windows_of_960_ms_slide_over_a_clip(tmp_path: Path) -> None:
    network = TinyConvolution().eval()
    encoder = OnnxEncoder(exported(network, tmp_path / "e.onnx", (WINDOW,)))
    clip = noise(40_000)
    windows = np.stack([clip[:WINDOW], clip[WINDOW : 2 * WINDOW], clip[-WINDOW:]])
    expected = network(torch.from_numpy(windows)).detach().numpy()
    np.testing.assert_allclose(encoder.vectors(clip), expected, rtol=1e-4, atol=1e-6)
    assert (encoder.dim, encoder.label) == (6, "e")


def test_description_says_what_it_needs(tmp_path: Path) -> None:
    description = OnnxEncoder(exported(TinyConvolution(), tmp_path / "e.onnx", (WINDOW,))).describe()
    assert (description.input, description.axes, description.shape) == ("audio", ("batch", "samples"), (None, WINDOW))
    assert (description.dtype, description.output, description.dim) == ("float32", "embedding", 6)
    assert (description.window_s, description.hop_s) == (0.96, 0.96)
    assert "'audio' (batch any, samples 15360; float32) at 16000 Hz, windows of 0.96 s" in str(description)


def test_an_output_with_time_keeps_it(tmp_path: Path) -> None:
    network = TinyConvolution(keep_time=True).eval()
    encoder = OnnxEncoder(exported(network, tmp_path / "e.onnx", (WINDOW,)))
    clip = noise(2 * WINDOW)
    expected = network(torch.from_numpy(clip.reshape(2, WINDOW))).detach().numpy().reshape(-1, 6)
    np.testing.assert_allclose(encoder.vectors(clip), expected, rtol=1e-4, atol=1e-6)


def test_a_hop_makes_windows_overlap(tmp_path: Path) -> None:
    path = with_sidecar(halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", 1600]), {"hop_s": 0.05})
    clip = noise(3200)
    expected = [[clip[s : s + 800].mean(), clip[s + 800 : s + 1600].mean()] for s in (0, 800, 1600)]
    np.testing.assert_allclose(OnnxEncoder(path).vectors(clip), expected, atol=1e-7)


def test_an_open_length_is_cut_into_960_ms_unless_whole_clips_are_asked_for(tmp_path: Path) -> None:
    path = halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", "n"])
    clip = noise(2 * WINDOW)
    assert OnnxEncoder(path).vectors(clip).shape == (2, 2)
    with_sidecar(path, {"whole_clip": True})
    whole = OnnxEncoder(path).vectors(clip)
    np.testing.assert_allclose(whole, [[clip[:WINDOW].mean(), clip[WINDOW:].mean()]], atol=1e-7)


@pytest.mark.parametrize("shape", [[1600], [1, 1600], ["b", 1, 1600], [4, 1600]], ids=str)
def test_usual_shapes_of_waveforms(tmp_path: Path, shape: list[int | str]) -> None:
    """Without batch, one window at a time, with a channel, and a fixed batch that three windows do not fill."""
    path = halves(TensorProto.FLOAT, tmp_path / "e.onnx", shape)
    clip = noise(4800)
    if len(shape) == 3:
        return _three_axes(path, clip)
    expected = clip.reshape(3, 2, 800).mean(axis=2)
    np.testing.assert_allclose(OnnxEncoder(path).vectors(clip), expected, atol=1e-7)
    return None


def _three_axes(path: Path, clip: np.ndarray) -> None:
    """(batch, channel, samples) comes back as (batch, 1, 2): one vector per window."""
    np.testing.assert_allclose(OnnxEncoder(path).vectors(clip), clip.reshape(3, 2, 800).mean(axis=2), atol=1e-7)


@pytest.mark.parametrize(
    ("dtype", "scale", "tolerance"),
    [(TensorProto.INT16, 32767.0, 0.5), (TensorProto.FLOAT16, 1.0, 1e-4), (TensorProto.DOUBLE, 1.0, 1e-7)],
)
def test_input_types(tmp_path: Path, dtype: int, scale: float, tolerance: float) -> None:
    path = halves(dtype, tmp_path / "e.onnx", ["b", 1600])
    clip = noise(1600)
    expected = scale * clip.reshape(1, 2, 800).mean(axis=2)
    np.testing.assert_allclose(OnnxEncoder(path).vectors(clip), expected, atol=tolerance)


def test_an_overdriven_clip_is_cut_at_full_scale_not_wrapped_round(tmp_path: Path) -> None:
    path = halves(TensorProto.INT16, tmp_path / "e.onnx", ["b", 1600])
    assert OnnxEncoder(path).vectors(np.full(1600, 1.5, np.float32)).tolist() == [[32767.0, 32767.0]]


def test_full_scale_and_rate_of_the_sidecar(tmp_path: Path) -> None:
    path = halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", "n"])
    with_sidecar(path, {"sample_rate_hz": 32_000, "whole_clip": True, "full_scale": 32768.0})
    clip = noise(8000)
    resampled = 32768.0 * soxr.resample(clip, RATE, 32_000)
    np.testing.assert_allclose(OnnxEncoder(path).vectors(clip)[0, 0], resampled[:8000].mean(), rtol=1e-3)


@pytest.mark.parametrize("layout", [None, ["batch", "mel", "time"]])
def test_log_mel_encoders_get_frames(tmp_path: Path, layout: list[str] | None) -> None:
    spec = LogMelInput(n_mels=8, n_fft=400, hop_samples=160, fmax_hz=8000.0, log_base="db", mean=-30.0, std=15.0)
    network = TinyImage(8).eval() if layout is None else _Turned(8).eval()
    shape = (10, 8) if layout is None else (8, 10)
    sidecar = {"log_mel": spec.model_dump()} | ({"layout": layout} if layout else {})
    encoder = OnnxEncoder(exported(network, tmp_path / "e.onnx", shape, sidecar))
    assert encoder.describe().window_s == (9 * 160 + 400) / RATE
    clip = noise(2 * 1840)
    frames = np.stack([log_mel_frames(one, spec, RATE) for one in clip.reshape(2, 1840)])
    assert frames.shape == (2, 10, 8)
    images = frames if layout is None else frames.transpose(0, 2, 1).copy()
    expected = network(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(encoder.vectors(clip), expected, rtol=1e-4, atol=1e-5)


class _Turned(TinyImage):
    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        return super().forward(log_mel.transpose(1, 2))


@pytest.mark.parametrize("clip", [np.zeros(0), np.array([0.0, np.nan]), np.zeros((2, 2))])
def test_clips_that_are_no_sound_are_refused(tmp_path: Path, clip: np.ndarray) -> None:
    encoder = OnnxEncoder(halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", 1600]))
    with pytest.raises(AudioError, match="empty or not finite"):
        encoder.vectors(clip.astype(np.float32))


def test_a_short_clip_is_repeated(tmp_path: Path) -> None:
    encoder = OnnxEncoder(halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", 1600]))
    clip = noise(800)
    np.testing.assert_allclose(encoder.vectors(clip), [[clip.mean(), clip.mean()]], atol=1e-7)
