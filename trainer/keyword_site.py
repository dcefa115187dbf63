"""An embedder of one site's own words, from scratch, as the thesis trains it (section 6.3).

clips of words, recordings without them -> segments of 16 frames with their labels -> TACos -> network -> bundle

One change for streams: the network sees 16 frames of context on either side of a segment and its output is cropped to
the segment, so that pieces of a stream give what one pass gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from edged.embed.bundle import Bundle
from edged.errors import AudioError, UsageError
from edged.features.activity import sound_span
from edged.features.keyword import KeywordFrames, KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.augment.specaugment import mask_spectrogram
from trainer.data.keywords import read_recordings, read_word_folders
from trainer.keyword_bundle import Decision, embed_signal, write_keyword_bundle
from trainer.keyword_recipe import KeywordTrainingOptions, SiteRecipe
from trainer.losses.tacos import TACos, relative_position
from trainer.models.temporal_resnet import TemporalResNet
from trainer.training import fit

SEGMENT_FRAMES, CONTEXT_FRAMES = 16, 16
STEP_FRAMES = 12
MAX_POSITIONS = 32


@dataclass(frozen=True)
class LabelledSegment:
    """One segment with its context: frames (48, n_mels), probabilities of keyword and position."""

    frames: Float32Array
    keyword: Tensor
    position: Tensor


class SegmentDataset(Dataset[dict[str, Tensor]]):
    """Segments of all classes, the rarer ones repeated until every class has as many (random oversampling)."""

    def __init__(self, segments: Sequence[LabelledSegment], seed: int) -> None:
        self._segments = segments
        by_class: dict[int, list[int]] = {}
        for index, segment in enumerate(segments):
            by_class.setdefault(int(segment.keyword.argmax()), []).append(index)
        most = max(len(indices) for indices in by_class.values())
        rng = np.random.default_rng(seed)
        self._order = [int(i) for indices in by_class.values() for i in rng.choice(indices, most)]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        segment = self._segments[self._order[index]]
        return {
            "frames": torch.from_numpy(segment.frames),
            "keyword": segment.keyword,
            "position": segment.position,
        }


class SiteObjective(nn.Module):
    """TACos with SpecAugment, mixup, and time-reversed copies as classes of their own.

    Class 0 is "no speech"; 1..n the words, n+1..2n the words played backwards.
    """

    def __init__(self, n_words: int, n_positions: int, recipe: SiteRecipe, silence: float) -> None:
        super().__init__()
        self.n_words, self.silence, self.reversed_segments = n_words, silence, recipe.reversed_segments
        n_classes = 1 + n_words * (2 if recipe.reversed_segments else 1)
        self.loss = TACos(n_classes, n_positions, recipe.n_centres, position_weight=recipe.position_weight)

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`frames` (batch, 48, n_mels), `keyword` (batch, classes), `position` (batch, positions) -> `loss`."""
        frames, keyword, position = self._with_reversed(batch["frames"], batch["keyword"], batch["position"])
        frames = mask_spectrogram(frames, self.silence, max_frames=4)
        other = torch.randperm(len(frames))
        share = torch.rand(len(frames), 1)
        frames = share.unsqueeze(2) * frames + (1 - share.unsqueeze(2)) * frames[other]
        keyword = share * keyword + (1 - share) * keyword[other]
        position = share * position + (1 - share) * position[other]
        return {"loss": self.loss(network(frames), keyword, position)}

    def _with_reversed(self, frames: Tensor, keyword: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not self.reversed_segments:
            return frames, keyword, position
        turned = torch.zeros_like(keyword)
        turned[:, 0] = keyword[:, 0]
        turned[:, 1 + self.n_words :] = keyword[:, 1 : 1 + self.n_words]
        uniform = torch.full_like(position, 1.0 / position.shape[1])
        return torch.cat([frames, frames.flip(1)]), torch.cat([keyword, turned]), torch.cat([position, uniform])


def train_site(options: KeywordTrainingOptions, recipe: SiteRecipe) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: no shots or no background were given.
        AudioError: clips that cannot be used.
    """
    if options.shots is None or options.background is None:
        raise UsageError("a site's embedder needs --shots DIR and --background DIR")
    spec = KeywordSpec(context_left_frames=CONTEXT_FRAMES, context_right_frames=CONTEXT_FRAMES)
    clips = [(clip.word, clip.samples) for clip in read_word_folders(options.shots)]
    background = read_recordings(options.background)
    words = sorted({word for word, _ in clips})
    segments, n_positions = labelled_segments(clips, background, words, recipe, spec)
    network = TemporalResNet(crop=(CONTEXT_FRAMES, CONTEXT_FRAMES))
    objective = SiteObjective(len(words), n_positions, recipe, spec.silence)
    loader = DataLoader(SegmentDataset(segments, options.seed), recipe.batch_size, shuffle=True, drop_last=False)
    fit(network, objective, loader, options.settings("site", recipe.max_epochs))
    network = network.cpu().eval()
    speech = np.concatenate([embed_signal(network, samples, spec) for samples in background])
    return write_keyword_bundle(
        options.out,
        network,
        spec,
        speech[: int(recipe.background_s * SAMPLE_RATE_HZ / spec.hop_samples)],
        bundle_id="keyword-site",
        version=options.version,
        decision=Decision(),
        training={"recipe": recipe.model_dump(mode="json"), "words": words, "seed": options.seed},
        card=options.card,
    )


def labelled_segments(
    clips: Sequence[tuple[str, Float32Array]],
    background: Sequence[Float32Array],
    words: Sequence[str],
    recipe: SiteRecipe,
    spec: KeywordSpec,
) -> tuple[list[LabelledSegment], int]:
    """Segments of words with their relative positions, segments of the background, and the number of positions.

    Raises:
        AudioError: nothing is heard in a clip.
    """
    cut = [(word, _word_segments(samples, spec)) for word, samples in clips]
    n_positions = min(MAX_POSITIONS, max(len(pieces) for _, pieces in cut))
    n_classes = 1 + len(words) * (2 if recipe.reversed_segments else 1)
    unit = torch.eye(n_classes)
    segments = [
        LabelledSegment(frames, unit[1 + words.index(word)], relative_position(i, len(pieces), n_positions))
        for word, pieces in cut
        for i, frames in enumerate(pieces)
    ]
    uniform = torch.full((n_positions,), 1.0 / n_positions)
    for samples in background:
        segments += [LabelledSegment(frames, unit[0], uniform) for frames in _pieces(samples, spec, 0, len(samples))]
    return segments, n_positions


def _word_segments(samples: Float32Array, spec: KeywordSpec) -> list[Float32Array]:
    span = sound_span(samples)
    if span is None:
        raise AudioError("nothing is heard in a clip of a word", fix="take it out of --shots")
    return _pieces(samples, spec, *span)


def _pieces(samples: Float32Array, spec: KeywordSpec, start: int, end: int) -> list[Float32Array]:
    """Overlapping segments (48, n_mels) whose middle frames lie between two samples; at least one."""
    extractor = KeywordFrames(spec)
    frames = np.concatenate([extractor.push(samples), extractor.flush()])
    width = SEGMENT_FRAMES + 2 * CONTEXT_FRAMES
    padded = np.pad(frames, ((CONTEXT_FRAMES, width), (0, 0)), constant_values=spec.silence)
    first, last = start // spec.hop_samples, max(start // spec.hop_samples + 1, end // spec.hop_samples - STEP_FRAMES)
    return [padded[at : at + width] for at in range(first, last, STEP_FRAMES)]
