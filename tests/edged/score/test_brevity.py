"""Paths shorter than their template count more: parts of a word are not the word."""

import numpy as np
import pytest

from edged.score.brevity import FREE_SHARE, brevity_factor
from edged.score.dtw import DtwTrace, StreamingDtw
from edged.score.keyword import KeywordModel

RNG = np.random.default_rng(3)
WORD = RNG.standard_normal((40, 16)).astype(np.float32)
BACKGROUND = RNG.standard_normal((900, 16)).astype(np.float32)


def trace_of_lengths(lengths, first=100):
    """One template; a path of each length ends at consecutive frames."""
    ends = first + np.arange(len(lengths))
    return DtwTrace(first, np.ones((len(lengths), 1)), (ends - np.array(lengths) + 1)[:, None])


def test_a_path_of_the_usual_length_is_free_and_half_of_it_is_not():
    factor = brevity_factor(trace_of_lengths([80, 40, 36, 18]), [WORD], 0.5)[:, 0]
    assert factor.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0 + 0.5 * np.log(2.0)])


def test_the_factor_is_that_of_the_slow_rule():
    lengths = RNG.integers(1, 90, 200).tolist()
    factor = brevity_factor(trace_of_lengths(lengths), [WORD], 0.7)[:, 0]
    assert factor.tolist() == pytest.approx([1 + 0.7 * max(0.0, float(np.log(FREE_SHARE * 40 / n))) for n in lengths])


def test_a_squeezed_word_is_farther_than_a_whole_one_and_chunking_changes_nothing():
    model = KeywordModel.unmeasured({"word": [WORD]}, 1.0, brevity_weight=0.5)
    stream = np.concatenate([BACKGROUND[:100], WORD, BACKGROUND[100:200], WORD[::2], BACKGROUND[200:300]])
    whole, _ = model.combine(StreamingDtw(model.templates).push(stream))
    dtw = StreamingDtw(model.templates)
    pieces = np.concatenate([model.combine(dtw.push(piece))[0] for piece in np.array_split(stream, 17)])
    np.testing.assert_allclose(pieces, whole, atol=1e-6)
    assert whole[:160].min() < 1e-3
    plain = KeywordModel.unmeasured({"word": [WORD + 0.3 * RNG.standard_normal(WORD.shape).astype(np.float32)]}, 1.0)
    strict = KeywordModel.unmeasured({"word": list(plain.templates)}, 1.0, brevity_weight=0.5)
    squeezed = [m.combine(StreamingDtw(m.templates).push(stream))[0][200:300].min() for m in (plain, strict)]
    assert squeezed[1] > 1.1 * squeezed[0]


def test_the_weight_is_stored_and_old_banks_have_none():
    model = KeywordModel.fit({"word": [WORD]}, BACKGROUND, 0.5, brevity_weight=0.5)
    arrays = model.to_arrays()
    assert KeywordModel.from_arrays(arrays, model.words).brevity_weight == 0.5
    del arrays["brevity_weight"]
    assert KeywordModel.from_arrays(arrays, model.words).brevity_weight == 0.0
    plain = KeywordModel.fit({"word": [WORD]}, BACKGROUND, 0.5)
    assert plain.identity(0) != model.identity(0)
