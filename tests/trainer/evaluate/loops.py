"""Figures by counting, threshold by threshold: nothing here is shared with the code under test."""

import itertools
import math

import numpy as np
import pytest

TIED = pytest.mark.parametrize(("seed", "tied"), [(seed, tied) for seed in range(8) for tied in (False, True)])
"""Random scores, and such with many ties."""


def draw(seed, tied, n_normal=23, n_anomalous=17):
    rng = np.random.default_rng(seed)
    normal, anomalous = rng.normal(size=n_normal), rng.normal(0.8, 1.3, size=n_anomalous)
    return (np.round(2 * normal) / 2, np.round(2 * anomalous) / 2) if tied else (normal, anomalous)


def count_roc(normal, anomalous, is_confused=None):
    """Corners (false positive rate, true positive rate) from the highest threshold to the lowest.

    A confused normal sample is a false positive whether it raises an alarm (eq. 15) or not (eq. 28).
    """
    is_confused = [False] * len(normal) if is_confused is None else is_confused
    corners = [(0.0, 0.0)]
    for threshold in [math.inf, *sorted({*normal, *anomalous}, reverse=True), -math.inf]:
        n_false = sum(1 for x in normal if x > threshold)
        n_false += sum(1 for x, confused in zip(normal, is_confused, strict=True) if x <= threshold and confused)
        n_true = sum(1 for x in anomalous if x > threshold)
        corners.append((n_false / len(normal), n_true / len(anomalous)))
    return corners


def area_below(corners, end=1.0):
    """Trapezoids of the curve up to a false positive rate."""
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        stop = min(x1, end)
        if stop > x0:
            area += (stop - x0) * (y0 + y0 + (y1 - y0) * (stop - x0) / (x1 - x0)) / 2.0
    return area


def standardised_area(corners, end):
    """McClish: chance is 0.5, perfect is 1."""
    return 0.5 * (1.0 + (area_below(corners, end) - end**2 / 2.0) / (end - end**2 / 2.0))


def crossing(corners):
    """Where false positive and false negative rate meet on the lines between the corners."""
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        low, high = 0.0, 1.0
        if 1.0 - y1 > x1:
            continue
        for _ in range(60):
            middle = (low + high) / 2.0
            x, y = x0 + middle * (x1 - x0), y0 + middle * (y1 - y0)
            low, high = (middle, high) if 1.0 - y > x else (low, middle)
        return x0 + high * (x1 - x0)
    raise AssertionError("the curve ends at (1, 1)")
