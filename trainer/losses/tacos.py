"""TACos: which keyword a segment belongs to, and where in it (thesis section 6.3.5, equations 67-73)."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.losses.running_scale import SMALLEST_LOG_B, of_all_processes
from trainer.losses.subcluster_adacos import adaptive_scale as subcluster_scale
from trainer.precision import in_float32

ScaleRule = Literal["adacos", "subcluster"]


def relative_position(segment: int, n_segments: int, n_positions: int) -> Tensor:
    """Categorical encoding of the relative position, equations (67, 68).

    Args:
        segment: number of the segment in its recording, from 0.
        n_segments: segments of the recording.

    Returns:
        (n_positions,), sums to 1; every position is active in some segment, and every segment in some position.

    >>> relative_position(0, 2, 4).tolist()
    [0.5, 0.5, 0.0, 0.0]
    """
    first = segment * n_positions // n_segments
    last = -(-(segment + 1) * n_positions // n_segments)
    label = torch.zeros(n_positions)
    label[first : max(last, first + 1)] = 1.0
    return label / label.sum()


def tacos_similarity(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Mean over the frames of the best centre's cosine similarity, equation (69).

    Args:
        embeddings: (n_segments, n_frames, dim).
        centres: (n_keywords, n_positions, n_centres, dim).

    Returns:
        (n_segments, n_keywords, n_positions).
    """
    n_segments, n_frames, dim = embeddings.shape
    n_keywords, n_positions, n_centres, _ = centres.shape
    unit_centres = F.normalize(centres, dim=-1).reshape(-1, dim)
    cosine = F.normalize(embeddings, dim=-1).reshape(-1, dim) @ unit_centres.T
    best = cosine.reshape(n_segments, n_frames, n_keywords, n_positions, n_centres).amax(dim=-1)
    return best.mean(dim=1)


def tacos_losses(
    similarity: Tensor, keyword_label: Tensor, position_label: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Keyword and position loss, equations (70-73), each the mean over segments.

    Args:
        similarity: (n_segments, n_keywords, n_positions).
        keyword_label: (n_segments, n_keywords) probabilities.
        position_label: (n_segments, n_positions) probabilities.
    """
    joint = torch.log_softmax((scale * similarity).flatten(1), dim=1).view_as(similarity)
    keyword_loss = -(keyword_label * joint.logsumexp(dim=2)).sum(dim=1)
    position_loss = -(position_label * joint.logsumexp(dim=1)).sum(dim=1)
    return keyword_loss.mean(), position_loss.mean()


def adaptive_scale(similarity: Tensor, keyword_label: Tensor, previous: Tensor) -> Tensor:
    """The scale for this step, without gradient: equations (10, 11) over all (keyword, position) pairs.

    Pairs of the labelled keyword do not count among the others, so the scale cannot run away without mixup. The batch
    is that of all processes.
    """
    with torch.no_grad():
        wrong = (1.0 - keyword_label).clamp(min=0.0).unsqueeze(2)  # (n_segments, n_keywords, 1)
        log_sums = torch.logsumexp((previous * similarity + wrong.log()).flatten(1), dim=1)  # (n_segments,)
        nearest = similarity.amax(dim=2)  # (n_segments, n_keywords)
        target = (keyword_label * nearest).sum(dim=1).clamp(-1.0, 1.0)
        log_sums, angles = of_all_processes(torch.stack([log_sums, torch.acos(target)], dim=1)).unbind(dim=1)
        log_average = torch.logsumexp(log_sums, dim=0) - math.log(len(log_sums))
        angle = torch.quantile(angles, 0.5).clamp(max=math.pi / 4)
        return log_average.clamp(min=SMALLEST_LOG_B) / torch.cos(angle)


class TACos(nn.Module):
    """The loss with its trainable centres and its scale.

    Args:
        n_keywords: classes, among them "no speech" and those of reversed segments if there are any.
        n_positions: relative positions.
        n_centres: sub-centres per (keyword, position).
        dim: of the embeddings.
        position_weight: of the position loss; 0 leaves L_kw alone.
        scale_rule: ``subcluster`` is the thesis's (eqs. 38-40, the positions of a keyword as its centres): it counts
            the own keyword among all pairs and grows without bound once the centres that are trained fit well.
            ``adacos`` (eqs. 10, 11) leaves the own keyword out.
        unit_centres: begin with centres of length one. Only their directions count, and Adam's steps turn them the
            faster the shorter they are: those of a normal draw (length sqrt(dim)) hardly move in a short training.
    """

    scale: Tensor
    has_started: Tensor

    def __init__(
        self,
        n_keywords: int,
        n_positions: int,
        n_centres: int = 16,
        dim: int = 128,
        position_weight: float = 1.0,
        *,
        scale_rule: ScaleRule = "adacos",
        unit_centres: bool = False,
    ) -> None:
        super().__init__()
        self._next_scale = subcluster_scale if scale_rule == "subcluster" else adaptive_scale
        centres = torch.randn(n_keywords, n_positions, n_centres, dim)
        self.centres = nn.Parameter(F.normalize(centres, dim=-1) if unit_centres else centres)
        self.position_weight = position_weight
        first = math.sqrt(2.0) * math.log(max(2, n_keywords * n_positions - 1))
        self.register_buffer("scale", torch.tensor(first))
        self.register_buffer("has_started", torch.tensor(False))

    @in_float32
    def forward(self, embeddings: Tensor, keyword_label: Tensor, position_label: Tensor) -> Tensor:
        """Scalar loss of (n_segments, n_frames, dim) embeddings; labels as in :func:`tacos_losses`."""
        similarity = tacos_similarity(embeddings, self.centres)
        if self.training:
            self._update(similarity, keyword_label)
        keyword_loss, position_loss = tacos_losses(similarity, keyword_label, position_label, self.scale)
        return keyword_loss + self.position_weight * position_loss

    @torch.no_grad()
    def _update(self, similarity: Tensor, keyword_label: Tensor) -> None:
        """Step 0 keeps the initial scale."""
        next_scale = self._next_scale(similarity, keyword_label, self.scale)
        self.scale.copy_(torch.where(self.has_started, next_scale, self.scale))  # a branch would wait for the GPU
        self.has_started.fill_(True)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        state_dict.setdefault(f"{prefix}has_started", torch.tensor(True))  # checkpoints of before it was kept
        super()._load_from_state_dict(state_dict, prefix, *arguments)
