"""Windows that slide over a clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edged.features.anomaly import repeat_to_length
from edged.flow import Float32Array


def window_batches(
    samples: Float32Array, window_samples: int, hop_samples: int, batch_size: int
) -> Iterator[Float32Array]:
    """Every whole window, and one that ends with the clip if samples are left over; a batch at a time in memory.

    Args:
        samples: float32 (n_samples,), at least one; a clip shorter than a window is repeated to length.
        window_samples: length of a window.
        hop_samples: from one to the next.
        batch_size: windows at once.

    Yields:
        float32 (at most batch_size, window_samples).

    >>> [batch.tolist() for batch in window_batches(np.arange(5, dtype=np.float32), 2, 2, 2)]
    [[[0.0, 1.0], [2.0, 3.0]], [[3.0, 4.0]]]
    """
    whole = repeat_to_length(samples, window_samples) if len(samples) < window_samples else samples
    last = len(whole) - window_samples
    starts = [*range(0, last + 1, hop_samples)]
    if starts[-1] != last:
        starts.append(last)
    windows = np.lib.stride_tricks.sliding_window_view(whole, window_samples)  # a view, however many there are
    for at in range(0, len(starts), batch_size):
        yield windows[starts[at : at + batch_size]]
