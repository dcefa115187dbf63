"""An embedder of one site's own words, as the thesis trains it (section 6.3), from scratch or from a bundle's network.

clips of words, recordings without them -> segments of 16 frames with their labels -> TACos -> network -> bundle

One change for streams: the network sees frames of context on either side of a segment (16 from scratch) and its output
is cropped to the segment, so that pieces of a stream give what one pass gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from edged.embed.bundle import Bundle
from edged.errors import AudioError, UsageError
from edged.features.activity import sound_span
from edged.features.keyword import KeywordFrames, KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.keyword_segments import SegmentCutter, SegmentDataset, labelled_segments, some_background
from trainer.data.keywords import WordClip, read_recordings, read_word_folders
from trainer.keyword_batches import EveryEpoch, keyword_loader
from trainer.keyword_bundle import SEEN_RIGHT_FRAMES, Decision, embed_signal, write_keyword_bundle
from trainer.keyword_recipe import KeywordTrainingOptions, SiteRecipe
from trainer.losses.segment_objective import SegmentObjective
from trainer.losses.tacos import TACos
from trainer.models.temporal_resnet import TemporalResNet
from trainer.training import fit
from trainer.warm_start import started_network

CONTEXT_FRAMES = 16


def train_site(options: KeywordTrainingOptions, recipe: SiteRecipe) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: no shots or no background were given.
        AudioError: clips that cannot be used.
    """
    if options.shots is None or options.background is None:
        fix = "name a folder of clips per word, and one of recordings without them"
        raise UsageError("a site's embedder needs --shots DIR and --background DIR", fix=fix)
    scratch = KeywordSpec(context_left_frames=CONTEXT_FRAMES, context_right_frames=CONTEXT_FRAMES)
    spec = KeywordSpec() if options.start_from else scratch
    clips, background = list(read_word_folders(options.shots)), read_recordings(options.background)
    dataset, n_classes, n_positions = training_set(clips, background, recipe, spec, options.seed)
    network: nn.Module = TemporalResNet(crop=(CONTEXT_FRAMES, CONTEXT_FRAMES), width=recipe.width)
    if options.start_from:
        network = started_network(options.start_from, spec, frames_of(clips, spec))
    loss = TACos(
        n_classes,
        n_positions,
        recipe.n_centres,
        position_weight=recipe.position_weight,
        scale_rule=recipe.scale_rule,
        unit_centres=True,
    )
    loader = keyword_loader(EveryEpoch(dataset), recipe.batch_size, options.seed, options.accelerator)
    settings = options.settings("site", recipe.max_epochs)
    fit(network, SegmentObjective(loss, spec.silence), loader, settings, resume_from=options.checkpoint("site"))
    network = network.cpu().eval()
    words = sorted({clip.word for clip in clips})
    seen = SEEN_RIGHT_FRAMES if options.start_from else None
    return write_keyword_bundle(
        options.out,
        network,
        spec,
        background_rows(network, background, spec, recipe.background_s, seen),
        bundle_id="keyword-site",
        version=options.version,
        decision=Decision(),
        training={"recipe": recipe.model_dump(mode="json"), "words": words, "seed": options.seed},
        card=options.card,
        seen_right_frames=seen,
    )


def background_rows(
    network: nn.Module,
    background: Sequence[Float32Array],
    spec: KeywordSpec,
    duration_s: float,
    seen_right_frames: int | None = None,
) -> Float32Array:
    """Embeddings of the first `duration_s` of the recordings: (n_frames, dim). What lies beyond is not embedded."""
    n_wanted = int(duration_s * SAMPLE_RATE_HZ / spec.hop_samples)
    parts: list[Float32Array] = []
    for samples in background:
        n_missing = n_wanted - sum(map(len, parts))
        if n_missing <= 0:
            break
        beyond = n_missing + spec.context_left_frames + spec.context_right_frames  # the last see what follows
        parts.append(embed_signal(network, samples[: beyond * spec.hop_samples], spec, seen_right_frames))
    return np.concatenate(parts)[:n_wanted]


def training_set(
    clips: Sequence[WordClip], background: Sequence[Float32Array], recipe: SiteRecipe, spec: KeywordSpec, seed: int
) -> tuple[SegmentDataset, int, int]:
    """Oversampled segments with their labels, the number of classes and that of positions.

    Raises:
        AudioError: nothing is heard in a clip.
    """
    context = (spec.context_left_frames, spec.context_right_frames)
    cutter = SegmentCutter(spec.silence, context)
    words = {
        word: [_word_segments(clip, cutter, spec) for clip in clips if clip.word == word]
        for word in sorted({clip.word for clip in clips})
    }
    noise = [segment for samples in background for segment in cutter.cut(_frames(samples, spec))]
    segments, n_positions = labelled_segments(
        words, some_background(noise, seed), context=context, reversed_segments=recipe.reversed_segments
    )
    return SegmentDataset(segments, seed), len(segments[0].keyword), n_positions


def frames_of(clips: Sequence[WordClip], spec: KeywordSpec) -> Float32Array:
    """Front-end frames of all clips, one after the other: float32 (n_frames, n_mels)."""
    return np.concatenate([_frames(clip.samples, spec) for clip in clips])


def _word_segments(clip: WordClip, cutter: SegmentCutter, spec: KeywordSpec) -> list[Float32Array]:
    span = sound_span(clip.samples)
    if span is None:
        raise AudioError(f"nothing is heard in {clip.word}/{clip.speaker}", fix="take it out of --shots")
    return cutter.cut(_frames(clip.samples, spec), span[0] // spec.hop_samples, -(-span[1] // spec.hop_samples))


def _frames(samples: Float32Array, spec: KeywordSpec) -> Float32Array:
    extractor = KeywordFrames(spec)
    return np.concatenate([extractor.push(samples), extractor.flush()])
