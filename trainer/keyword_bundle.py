"""Writes a trained keyword embedder as a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edged.embed.bundle import Bundle, Manifest, ModelSpec, RepresentationSpec, TensorSpec, write_bundle
from edged.embed.packed_rows import pack_rows
from edged.features.keyword import FRAMES, KeywordFrames, KeywordSpec
from edged.flow import Float32Array
from edged.frontend import BACKGROUND, PACKED, PACKED_SCALES
from trainer.export import OPSET, export_onnx, parity_gate
from trainer.streaming_form import lift, see_fewer_frames

OUTPUT = "speech"
SEGMENTS_AT_ONCE = 256
SEEN_RIGHT_FRAMES = 6
"""Of the frames to come that a speech trunk is trained with; the last stands for the rest: words are told sooner."""


@dataclass(frozen=True)
class Decision:
    """Default decision parameters of a keyword bundle; distances are relative to ordinary other speech.

    Attributes:
        limit_distance: at which a word counts as found.
        loose_distance: up to which all matches are reported on demand.
        hold_frames: how long a match waits for a better overlapping one, live.
        loose_hold_frames: the same when all matches are reported.
        ordinary_quantile: of the nearest distance in each second of the background: what distances are relative to.
        own_exponent: how much the distance of a word's own clips to each other counts there.
        brevity_weight: how much more paths count that are shorter than their template.
    """

    limit_distance: float = 0.55
    loose_distance: float = 1.0
    hold_frames: int = 8
    loose_hold_frames: int = 62
    ordinary_quantile: float = 0.5
    own_exponent: float = 0.0
    brevity_weight: float = 0.0


GENERAL_DECISION = Decision(
    limit_distance=0.75, loose_distance=1.25, ordinary_quantile=0.05, own_exponent=0.15, brevity_weight=0.5
)
"""For words that come later and minutes of background; chosen on telephone sentences and coffee orders."""


class UnitRows(nn.Module):
    """The network with its output rows scaled to unit length."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        """(batch, time, n_mels) -> (batch, time - context, dim)."""
        rows: Tensor = self.network(frames)
        return rows * torch.rsqrt((rows * rows).sum(dim=-1, keepdim=True) + 1e-12)


def embed_signal(
    network: nn.Module, samples: Float32Array, spec: KeywordSpec, seen_right_frames: int | None = None
) -> Float32Array:
    """A whole signal: float32 (n_frames, dim), unit rows.

    Args:
        seen_right_frames: as a bundle of that form gives them, see `write_keyword_bundle`; None: in one pass.
    """
    extractor = KeywordFrames(spec)
    frames = np.concatenate([extractor.push(samples), extractor.flush()])
    if seen_right_frames is None:
        return embed_frames(network, frames, spec)
    return _embed_segments(network, frames, spec, spec.context_right_frames - seen_right_frames)


def embed_frames(network: nn.Module, frames: Float32Array, spec: KeywordSpec) -> Float32Array:
    """One pass over frames (n_frames, n_mels): float32 (n_frames, dim), unit rows."""
    context = (spec.context_left_frames, spec.context_right_frames)
    padded = np.pad(frames, (context, (0, 0)), constant_values=spec.silence)
    with torch.no_grad():
        rows: Float32Array = UnitRows(network).eval()(torch.from_numpy(padded).unsqueeze(0))[0].numpy()
    return rows


def _embed_segments(network: nn.Module, frames: Float32Array, spec: KeywordSpec, n_unseen: int) -> Float32Array:
    """Segment by segment, the last frame of each that is seen in place of those that are not."""
    step = spec.segment_frames
    after = spec.context_right_frames + -len(frames) % step
    padded = np.pad(frames, ((spec.context_left_frames, after), (0, 0)), constant_values=spec.silence)
    segments = np.lib.stride_tricks.sliding_window_view(padded, spec.input_frames, axis=0)[::step].swapaxes(1, 2)
    unit, rows = UnitRows(network).eval(), []
    for first in range(0, len(segments), SEGMENTS_AT_ONCE):
        seen = torch.from_numpy(segments[first : first + SEGMENTS_AT_ONCE].copy())
        last = spec.input_frames - n_unseen
        seen[:, last:] = seen[:, last - 1 : last]
        with torch.no_grad():
            rows.append(unit(seen).flatten(0, 1).numpy())
    return np.concatenate(rows)[: len(frames)]


def write_keyword_bundle(
    directory: Path,
    network: nn.Module,
    spec: KeywordSpec,
    background: Float32Array,
    *,
    bundle_id: str,
    version: str,
    decision: Decision,
    training: Mapping[str, Any],
    card: str,
    seen_right_frames: int | None = None,
) -> Bundle:
    """Export, check against torch, and write.

    Args:
        spec: the front end of the training.
        background: float (n_frames, dim), embeddings of ordinary speech (`embed_signal` with the same
            `seen_right_frames`): what distances are relative to, and what false alarms are foreseen from.
        seen_right_frames: how many frames to come it sees on the stream; None: all that it was trained with.

    Raises:
        BundleError: ONNX and torch disagree.
    """
    exported = UnitRows(network).eval()
    generator = torch.Generator().manual_seed(0)
    inputs = {FRAMES: torch.rand((4, spec.input_frames, spec.n_mels), generator=generator) * 3.0 + spec.silence}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(exported, inputs, [OUTPUT], path)
        model = onnx.load(str(path))
        if lift(model):
            onnx.save(model, str(path))
        parity = parity_gate(exported, path, inputs)
        if seen_right_frames is not None:
            spec = see_fewer_frames(model, spec, seen_right_frames)
            onnx.save(model, str(path))
        manifest = _manifest(spec, background.shape[1], decision, bundle_id, version)
        manifest = manifest.model_copy(update={"training": dict(training), "parity": parity})
        calibration = background_arrays(np.asarray(background, dtype=np.float32))
        return write_bundle(directory, manifest, model=path, calibration=calibration, card=card)


def background_arrays(rows: Float32Array) -> dict[str, NDArray[Any]]:
    """Rows of background, (n_rows, dim), as a bundle holds them: at four bits a value."""
    if rows.shape[1] % 2:
        return {BACKGROUND: rows.astype(np.float16)}
    packed, scales = pack_rows(rows)
    return {PACKED: packed, PACKED_SCALES: scales}


def _manifest(spec: KeywordSpec, dim: int, decision: Decision, bundle_id: str, version: str) -> Manifest:
    segment_samples = spec.segment_frames * spec.hop_samples
    inputs = (TensorSpec(name=FRAMES, shape=(spec.input_frames, spec.n_mels)),)
    outputs = (TensorSpec(name=OUTPUT, shape=(spec.segment_frames, dim)),)
    return Manifest(
        kind="keyword",
        id=bundle_id,
        version=version,
        segment_samples=segment_samples,
        hop_samples=segment_samples,
        features=spec.model_dump(mode="json"),
        features_digest=spec.digest(),
        model=ModelSpec(opset=OPSET, inputs=inputs, outputs=outputs),
        representations=(RepresentationSpec(name=OUTPUT, source="model", dim=dim, backend="dtw"),),
        score_direction="higher_is_more_certain",
        decision=vars(decision).copy(),
    )
