"""The keyword model: bad shots are outvoted, distances are relative to ordinary speech, stored as fitted."""

from dataclasses import replace

import numpy as np
import pytest

from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel, Reach

RNG = np.random.default_rng(0)
BACKGROUND = RNG.standard_normal((400, 16)).astype(np.float32)
WORD = RNG.standard_normal((12, 16)).astype(np.float32)


def noisy(rows, level=0.3):
    return rows + RNG.standard_normal(rows.shape).astype(np.float32) * np.float32(level)


def raw(templates):
    return KeywordModel.unmeasured({"a": templates}, 1.0)


def distances_of(model, stream):
    return model.combine(StreamingDtw(model.templates).push(stream))[0]


def test_ordinary_speech_is_at_one_and_the_word_near_zero():
    model = KeywordModel.fit({"word": [noisy(WORD) for _ in range(5)]}, BACKGROUND, 0.5)
    windows = np.array_split(distances_of(model, BACKGROUND), 6)
    assert np.median([w.min() for w in windows]) == pytest.approx(1.0, abs=0.02)
    stream = np.concatenate([BACKGROUND[:50], noisy(WORD), BACKGROUND[50:90]])
    distances = distances_of(model, stream)[:, 0]
    assert distances.argmin() == 61
    assert distances.min() < 0.2


def test_one_shot_that_matches_everything_is_outvoted():
    bad = np.tile(BACKGROUND[:1], (12, 1))
    stream = np.concatenate([BACKGROUND[:50], np.tile(BACKGROUND[:1], (20, 1)), BACKGROUND[50:90]])
    good = [noisy(WORD) for _ in range(4)]
    fooled = distances_of(KeywordModel.fit({"word": [bad]}, BACKGROUND, 0.5), stream).min()
    assert fooled < 0.05
    assert distances_of(KeywordModel.fit({"word": [*good, bad]}, BACKGROUND, 0.5), stream).min() > 0.4


def test_words_do_not_depend_on_each_other():
    alone = KeywordModel.fit({"a": [WORD]}, BACKGROUND, 0.5)
    both = KeywordModel.fit({"a": [WORD], "b": [WORD[::-1], WORD[2:]]}, BACKGROUND, 0.5)
    np.testing.assert_allclose(distances_of(alone, BACKGROUND)[:, 0], distances_of(both, BACKGROUND)[:, 0], atol=1e-6)
    assert both.word_frames.tolist() == [12.0, 11.0]


def test_stored_and_read_back():
    model = KeywordModel.fit({"a": [WORD], "b": [WORD[::-1]]}, BACKGROUND, 0.4)
    again = KeywordModel.from_arrays(model.to_arrays(), model.words)
    np.testing.assert_array_equal(distances_of(model, BACKGROUND), distances_of(again, BACKGROUND))
    assert again.threshold == -0.4


def test_limits_of_all_and_of_single_words():
    model = KeywordModel.fit({"a": [WORD], "b": [WORD]}, BACKGROUND, 0.4)
    assert model.limits().tolist() == [0.4, 0.4]
    assert model.limits(-0.6, {"b": -0.2}).tolist() == [0.6, 0.2]


def test_the_reach_is_a_quantile_of_what_the_background_comes_near_to():
    nearest = [window.min() for window in np.array_split(distances_of(raw([WORD]), BACKGROUND)[:, 0], 6)]
    for quantile, expected in ((0.5, np.median(nearest)), (0.0, min(nearest))):
        model = KeywordModel.fit({"a": [WORD]}, BACKGROUND, 0.4, Reach(quantile))
        assert model.ordinary[0] == pytest.approx(expected, abs=1e-6)


def test_clips_that_differ_more_from_each_other_reach_farther():
    reach = Reach(0.5, 0.15)
    alike, unlike = ([noisy(WORD, level) for _ in range(4)] for level in (0.2, 0.9))
    for clips, is_farther in ((alike, False), (unlike, True)):
        plain = KeywordModel.fit({"a": clips}, BACKGROUND, 0.4).ordinary[0]
        own = KeywordModel.fit({"a": clips}, BACKGROUND, 0.4, reach).ordinary[0]
        assert (own > plain) == is_farther
        assert 2**-0.15 - 1e-9 <= own / plain <= 2**0.15 + 1e-9


def test_one_clip_and_copies_of_it_have_a_reach_too():
    reach = Reach(0.5, 0.15)
    assert KeywordModel.fit({"a": [WORD]}, BACKGROUND, 0.4, reach).ordinary[0] > 0
    copies = KeywordModel.fit({"a": [WORD] * 3}, BACKGROUND, 0.4, reach).ordinary[0]
    assert np.isfinite(copies)
    assert copies > 0


def test_a_word_is_another_when_its_clips_or_its_reach_are():
    one = KeywordModel.fit({"a": [WORD], "b": [WORD[2:]]}, BACKGROUND, 0.4)
    two = KeywordModel.fit({"b": [WORD[2:]], "a": [WORD, noisy(WORD)]}, BACKGROUND, 0.4)
    assert one.identity(1) == two.identity(0)
    assert one.identity(0) != two.identity(1)
    assert one.identity(0) != replace(one, ordinary=one.ordinary * 1.1).identity(0)
