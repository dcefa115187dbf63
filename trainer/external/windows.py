"""Windows that slide over a clip."""

from __future__ import annotations

import numpy as np

from edged.features.anomaly import repeat_to_length
from edged.flow import Float32Array


def sliding_windows(samples: Float32Array, window_samples: int, hop_samples: int) -> Float32Array:
    """Every whole window, and one that ends with the clip if samples are left over.

    Args:
        samples: float32 (n_samples,), at least one; a clip shorter than a window is repeated to length.
        window_samples: length of a window.
        hop_samples: from one to the next.

    Returns:
        float32 (n_windows, window_samples).

    >>> sliding_windows(np.arange(5, dtype=np.float32), 2, 2).tolist()
    [[0.0, 1.0], [2.0, 3.0], [3.0, 4.0]]
    """
    whole = repeat_to_length(samples, window_samples) if len(samples) < window_samples else samples
    last = len(whole) - window_samples
    starts = [*range(0, last + 1, hop_samples)]
    if starts[-1] != last:
        starts.append(last)
    return np.stack([whole[start : start + window_samples] for start in starts])
