"""Windows cover every sample."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.external.windows import window_batches


@given(n=st.integers(1, 60), window=st.integers(1, 20), hop=st.integers(1, 20), size=st.integers(1, 9))
def test_windows_are_pieces_of_the_clip_and_cover_it(n: int, window: int, hop: int, size: int) -> None:
    batches = list(window_batches(np.arange(n, dtype=np.float32), window, hop, size))
    assert all(len(batch) == size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= size
    windows = np.concatenate(batches)
    assert windows.shape[1] == window
    if n >= window:
        assert (np.diff(windows, axis=1) == 1.0).all()
        assert windows[0, 0] == 0.0
        assert windows[-1, -1] == n - 1
        assert (np.diff(windows[:-1, 0]) == hop).all()
        assert len(windows) == 1 or 0 < windows[-1, 0] - windows[-2, 0] <= hop
    else:
        assert windows.tolist() == [[float(i % n) for i in range(window)]]


def test_only_a_batch_is_in_memory() -> None:
    """Ten minutes in windows of ten seconds every tenth of a second took 4 GB at once."""
    batches = window_batches(np.zeros(16_000 * 3600, np.float32), 160_000, 160, 4)
    assert next(batches).shape == (4, 160_000)
