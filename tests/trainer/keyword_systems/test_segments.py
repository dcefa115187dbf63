"""Embeddings of recordings: the mean over all segments that hold a frame, figure 28."""

import numpy as np
import pytest
import torch

from trainer.keyword_systems.segments import centred_segments, embed_recording


class Positions(torch.nn.Module):
    """Says of each frame its own value, and its position in the segment."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        place = torch.arange(frames.shape[1], dtype=torch.float32).expand(len(frames), -1)
        return torch.stack([frames[:, :, 0], place], dim=2)


@pytest.mark.parametrize("step", [1, 4, 5])
@pytest.mark.parametrize("n_frames", [1, 7, 16, 50])
def test_every_frame_is_the_mean_over_the_segments_that_hold_it(n_frames: int, step: int) -> None:
    frames = np.arange(n_frames, dtype=np.float32)[:, None]
    rows = embed_recording(Positions(), frames, step, silence=-1.0)
    assert rows.shape == (n_frames, 2)
    np.testing.assert_allclose(rows[:, 0], np.arange(n_frames), atol=1e-5)
    starts = np.arange(0, n_frames + step, step) - 8
    slow = [np.mean([t - s for s in starts if s <= t < s + 16]) for t in range(n_frames)]
    np.testing.assert_allclose(rows[:, 1], slow, atol=1e-5)


def test_the_middle_of_a_segment_lies_on_its_frame() -> None:
    frames = np.arange(20, dtype=np.float32)[:, None]
    segments = centred_segments(frames, 2, silence=-1.0)
    assert segments[:10, 8, 0].tolist() == list(range(0, 20, 2))
    assert (segments[0, :8] == -1.0).all()
