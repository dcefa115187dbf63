"""Windows cover every sample."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.external.windows import sliding_windows


@given(n=st.integers(1, 60), window=st.integers(1, 20), hop=st.integers(1, 20))
def test_windows_are_pieces_of_the_clip_and_cover_it(n: int, window: int, hop: int) -> None:
    windows = sliding_windows(np.arange(n, dtype=np.float32), window, hop)
    assert windows.shape[1] == window
    if n >= window:
        assert (np.diff(windows, axis=1) == 1.0).all()
        assert windows[0, 0] == 0.0
        assert windows[-1, -1] == n - 1
        assert (np.diff(windows[:-1, 0]) == hop).all()
        assert len(windows) == 1 or 0 < windows[-1, 0] - windows[-2, 0] <= hop
    else:
        assert windows.tolist() == [[float(i % n) for i in range(window)]]
