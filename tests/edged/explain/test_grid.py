import numpy as np
import pytest

from edged.explain.grid import Grid, bin_frequencies_hz
from edged.features.anomaly import AnomalySpec

SPEC = AnomalySpec()


@pytest.mark.parametrize(("n_times", "n_bands"), [(1, 1), (3, 6), (10, 12), (7, 40)])
def test_cells_cover_the_segment_once_and_lie_within_their_edges(n_times, n_bands):
    grid = Grid(SPEC, n_times, n_bands)
    assert (grid.time_edges_s[0], grid.time_edges_s[-1]) == (0.0, 10.0)
    assert (round(grid.band_edges_hz[0]), round(grid.band_edges_hz[-1])) == (50, 8000)
    assert (np.diff(grid.time_edges_s) > 0).all()
    assert (np.diff(grid.band_edges_hz) > 0).all()
    frame_centres_s = (np.arange(SPEC.n_frames) * 512 + 512) / 16000
    np.testing.assert_array_equal(np.searchsorted(grid.time_edges_s, frame_centres_s) - 1, grid.slice_of_frame)
    one = np.zeros((n_times, n_bands), bool)
    one[-1, -1] = True
    places = grid.cells(one)
    assert places.shape == (311, 513)
    assert places[-1, -1]
    assert sum(grid.cells(np.eye(n_times * n_bands, dtype=bool)[n].reshape(n_times, n_bands)).sum()
               for n in range(n_times * n_bands)) == 311 * 513  # fmt: skip


def test_a_bin_belongs_to_the_group_its_frequency_lies_in():
    grid = Grid(SPEC, 1, 6)
    inside = slice(8, -1)  # the lowest mel bands are narrower than a bin
    by_edges = np.searchsorted(grid.band_edges_hz, bin_frequencies_hz(SPEC)) - 1
    wrong = np.flatnonzero(by_edges[inside] != grid.group_of_bin[inside])
    assert len(wrong) <= 5  # at an edge, by less than a bin
