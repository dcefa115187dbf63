"""Paths that are much shorter than their template: speech that only sounds like parts of a word.

DTW may skip every other row of a template for nothing, and among hours of speech some syllable fits what is left. True
utterances are seldom shorter than nine tenths of a template; the nearest false ones nearly always are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from edged.flow import Float32Array, Float64Array
from edged.score.dtw import DtwTrace

FREE_SHARE = 0.9
"""Of a template's length: a path may be as short as that for nothing."""


def brevity_factor(trace: DtwTrace, templates: Sequence[Float32Array], weight: float) -> Float64Array:
    """What distances are multiplied by: 1 for paths of the usual length, float64 (n_frames, n_templates).

    Args:
        trace: of these templates.
        weight: more for every e-fold that a path is shorter than is free.
    """
    factors = _factors(tuple(map(len, templates)), weight)
    ends = trace.frame + np.arange(1, len(trace.starts) + 1)[:, None]
    lengths = np.minimum(ends - trace.starts, len(factors) - 1)
    return np.asarray(factors[np.maximum(lengths, 1), np.arange(len(templates))])


@functools.lru_cache(maxsize=16)
def _factors(template_frames: tuple[int, ...], weight: float) -> Float64Array:
    """Of every length up to that of the longest template: (1 + n_most, n_templates)."""
    lengths = np.maximum(np.arange(1 + max(template_frames)), 1)[:, None]
    missing = np.log(FREE_SHARE * np.array(template_frames)) - np.log(lengths)
    return np.asarray(1.0 + weight * np.maximum(missing, 0.0))
