"""What must hold of keyword spotting as a whole: any chunking, any time, any level, any other words, any length.

Real parts throughout: the shipped bundle, the runtime, recordings of synthetic voices.
"""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.assembly import open_bundle
from edged.config import KeywordSettings
from edged.demo.speech import spoken_clip
from edged.embed.onnx import OnnxEmbedder
from edged.features.keyword import KeywordSpec
from edged.flow import Block, Embedding
from edged.frontend import background_rows
from edged.pipeline import KeywordMonitor, embed_signal
from edged.references.keyword import KeywordBank
from edged.references.templates import template_of_clip
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel
from edged.spotting import KeywordSpotter

SPEC = KeywordSpec()
HOP, SEGMENT = SPEC.hop_samples, SPEC.hop_samples * SPEC.segment_frames
BUNDLE = open_bundle("keyword")
EMBEDDER = OnnxEmbedder(BUNDLE)
SPOKEN = ("forklift-1", "maintenance-1", "conveyor-1", "maintenance-2", "attention-1")
MINE = {"maintenance": ("maintenance-1", "maintenance-2", "maintenance-enrol-1")}
OTHERS = {"forklift": ("forklift-1",), "attention": ("attention-1",), "conveyor": ("conveyor-1",)}


def said(words, gap=6_000):
    pieces = [np.pad(0.05 * spoken_clip(word), (gap, 0)) for word in words]
    signal = np.pad(np.concatenate(pieces), (0, gap))
    hiss = 0.003 * np.random.default_rng(0).standard_normal(len(signal))
    signal += np.where(np.arange(len(signal)) > 2 * SEGMENT, hiss, 0.0)  # it begins with silence
    return signal.astype(np.float32)


SIGNAL = said(SPOKEN)


def rows_of(signal):
    rows = [one.vectors["speech"] for one in embed_signal(signal, BUNDLE, EMBEDDER)]
    return np.concatenate(rows)[: -(-len(signal) // HOP)]


def model_of(words):
    templates = {}
    for word, clips in words.items():
        padded = [np.pad(0.05 * spoken_clip(clip), 3_000) for clip in clips]
        templates[word] = [template_of_clip(word, clip, rows_of(clip), HOP) for clip in padded]
    return KeywordModel.fit(templates, background_rows(BUNDLE)[:1500], 0.5)


MODEL, EVERYTHING = model_of(MINE), model_of(MINE | OTHERS)


def distances_of(signal, model=MODEL):
    return model.combine(StreamingDtw(model.templates).push(rows_of(signal)))[0]


def bank(model=EVERYTHING):
    return KeywordBank(1, (), model.templates, model)


def events_of(signal, cuts=(), model=EVERYTHING, first=0):
    """Detections of the monitor as the daemon runs it, the signal cut into these blocks."""
    monitor = KeywordMonitor("hall", BUNDLE, KeywordSettings(), bank(model))
    found = []
    for start, end in itertools.pairwise([0, *cuts, len(signal)]):
        for embedding in EMBEDDER.embed(monitor.push(Block(first + start, signal[start:end]))):
            found += monitor.accept(embedding).detections
    for embedding in EMBEDDER.embed(monitor.flush()):
        found += monitor.accept(embedding).detections
    return found + list(monitor.finish().detections)


WHOLE = events_of(SIGNAL)


def test_every_word_is_one_event():
    assert [event.keyword for event in WHOLE] == [word.split("-")[0] for word in SPOKEN]
    for event in WHOLE:
        assert event.sample_start == event.onset_sample < event.sample_end <= event.offset_sample


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, len(SIGNAL)), max_size=60))
def test_any_chunking_gives_the_same_events(cuts):
    assert events_of(SIGNAL, sorted(cuts)) == WHOLE


def test_one_sample_at_a_time_gives_the_same_events():
    short = SIGNAL[:30_000]
    assert events_of(short, range(1, len(short), 7)) == events_of(short)


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 40))
def test_a_shift_by_whole_segments_shifts_the_events_and_nothing_else(n_segments):
    late = np.pad(SIGNAL, (n_segments * SEGMENT, 0))
    shifted = distances_of(late)[n_segments * SPEC.segment_frames :]
    np.testing.assert_array_equal(shifted[60:], distances_of(SIGNAL)[60:])
    moved = [(e.keyword, e.onset_sample - n_segments * SEGMENT, e.score) for e in events_of(late)]
    assert moved == [(e.keyword, e.onset_sample, e.score) for e in WHOLE]


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 10_000))
def test_a_shift_by_any_number_of_samples_keeps_the_events(n_samples):
    """The frames lie elsewhere on the words: least distances within 0.1, times within four frames."""
    late = np.pad(SIGNAL, (n_samples, 0))
    least, expected = (distances_of(signal, EVERYTHING).min(axis=0) for signal in (late, SIGNAL))
    np.testing.assert_allclose(least, expected, atol=0.1)
    events = events_of(late)
    assert [e.keyword for e in events] == [e.keyword for e in WHOLE]
    for event, before in zip(events, WHOLE, strict=True):
        assert event.onset_sample - n_samples == pytest.approx(before.onset_sample, abs=4 * HOP)
        assert event.offset_sample - n_samples == pytest.approx(before.offset_sample, abs=4 * HOP)


def test_where_the_clock_stands_does_not_matter():
    first = 62_500 * 86_400 * 365 * 256  # a thousand years
    events = events_of(SIGNAL, first=first)
    assert [(e.keyword, e.onset_sample - first, e.score) for e in events] == [
        (e.keyword, e.onset_sample, e.score) for e in WHOLE
    ]


def test_another_keyword_changes_no_distance():
    alone, beside = distances_of(SIGNAL)[:, 0], distances_of(SIGNAL, EVERYTHING)[:, 0]
    np.testing.assert_allclose(alone, beside, rtol=1e-6)


@pytest.mark.parametrize("gain_db", [-20.0, -7.0, 20.0])
def test_gain_changes_distances_by_less_than_a_hundredth(gain_db):
    louder = SIGNAL * np.float32(10.0 ** (gain_db / 20.0))
    np.testing.assert_allclose(distances_of(louder), distances_of(SIGNAL), rtol=0.01)
    assert [e.keyword for e in events_of(louder)] == [e.keyword for e in WHOLE]


def test_nothing_spans_a_gap_or_an_epoch():
    """Each half of the words, on a clock of its own, is heard as if it were alone."""
    half = len(SIGNAL) // 2 // SEGMENT * SEGMENT
    parts = events_of(SIGNAL[:half]), events_of(SIGNAL[half:])
    for block in (Block(half + 5_000, SIGNAL[half:], lost_before=5_000), Block(0, SIGNAL[half:], epoch=1)):
        monitor = KeywordMonitor("hall", BUNDLE, KeywordSettings(), bank())
        found = []
        for segments in (monitor.push(Block(0, SIGNAL[:half])), monitor.push(block), monitor.flush()):
            for embedding in EMBEDDER.embed(segments):
                found += monitor.accept(embedding).detections
        found += monitor.finish().detections
        assert [(e.keyword, e.score) for e in found] == [(e.keyword, e.score) for part in parts for e in part]
        assert all(e.epoch == block.epoch and e.onset_sample >= block.sample for e in found[len(parts[0]) :])


def switched_at(sample, models=(EVERYTHING, EVERYTHING)):
    """Detections where other references are taken before a segment; what they are held against is the same."""
    monitor, found, at = KeywordMonitor("hall", BUNDLE, KeywordSettings(), bank(models[0])), [], 0
    for embedding in EMBEDDER.embed([*monitor.push(Block(0, SIGNAL)), *monitor.flush()]):
        if at <= sample < (at := embedding.sample_end):
            monitor.use_bank(bank(models[1]))
        found += monitor.accept(embedding).detections
    return found + list(monitor.finish().detections)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.02, 1.1])
def test_other_references_in_mid_word_lose_and_double_no_word(share):
    # an enrolment, or a rollback, forgot what had been said up to then: the word being said was lost
    word = WHOLE[1]
    at = round(word.onset_sample + share * (word.offset_sample - word.onset_sample))
    events = switched_at(at)
    assert [event.keyword for event in events] == [event.keyword for event in WHOLE]
    for event, before in zip(events, WHOLE, strict=True):
        assert event.score == pytest.approx(before.score, abs=0.1)
        assert event.onset_sample == pytest.approx(before.onset_sample, abs=4 * HOP)


def test_a_word_is_found_whose_references_came_while_it_was_said():
    word = WHOLE[1]
    without = model_of({name: clips for name, clips in (MINE | OTHERS).items() if name != word.keyword})
    events = switched_at((word.onset_sample + word.offset_sample) // 2, (without, EVERYTHING))
    assert [event.keyword for event in events] == [event.keyword for event in WHOLE]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_sound_that_is_none_harms_no_later_word(value):
    sick = np.concatenate([said(SPOKEN[:1]), np.full(5_000, value, dtype=np.float32), np.zeros(160_000, np.float32)])
    signal = np.concatenate([sick, SIGNAL]).astype(np.float32)
    later = [e.keyword for e in events_of(signal) if e.onset_sample > len(sick)]
    assert later == [e.keyword for e in WHOLE]


def test_memory_is_constant_over_a_day():
    """Embeddings of a day with words in them, most of it skipped by turning the clock on."""
    spotter = KeywordSpotter(bank(), BUNDLE.manifest.decision, EVERYTHING.limits(), SPEC, False)
    rows, at, sizes, found = np.resize(rows_of(SIGNAL), (2_000, 128)), 0, [], 0
    tracemalloc.start()
    try:
        for _ in range(12):
            for index in range(0, len(rows), SPEC.segment_frames):
                embedding = Embedding(at, at + SEGMENT, {"speech": rows[index : index + SPEC.segment_frames]})
                found += len(spotter.push(embedding, embedding.vectors["speech"]))
                at += SEGMENT
            sizes.append(tracemalloc.get_traced_memory()[0])
            skipped = 2 * 3_600 * 16_000 // SEGMENT * SPEC.segment_frames
            spotter._dtw._frame += skipped
            spotter._dtw._origin += skipped
            spotter._decider.reset()
            spotter._next_sample = at = at + skipped * HOP
    finally:
        tracemalloc.stop()
    assert found > 12 * len(SPOKEN)
    assert max(sizes[2:]) - min(sizes[2:]) < 30_000
