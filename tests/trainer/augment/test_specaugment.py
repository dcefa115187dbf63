"""Masks on any device, repeatable, and no wider than asked."""

import pytest
import torch

from trainer.augment.specaugment import jitter_level, mask_spectrogram


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("generator", [None, seeded()])
def test_masks_are_made_where_the_frames_are(generator):
    """They were made on the CPU whatever the device, which an accelerator refuses; the meta device stands for one."""
    frames = torch.zeros(4, 30, 16, device="meta")
    assert mask_spectrogram(frames, 0.0, generator=generator).is_meta
    assert jitter_level(frames, -1.5).is_meta


def test_a_generator_makes_it_repeatable():
    frames = torch.rand(4, 30, 16)
    first, second = (mask_spectrogram(frames, 0.0, generator=seeded(3)) for _ in "ab")
    assert torch.equal(first, second)
    assert not torch.equal(first, mask_spectrogram(frames, 0.0, generator=seeded(4)))


def test_masks_are_whole_rows_and_columns_of_bounded_width():
    masked = mask_spectrogram(torch.ones(50, 30, 16), 0.0, n_masks=1, max_bands=4, max_frames=3, generator=seeded())
    bands, stretches = (masked == 0).all(dim=1), (masked == 0).all(dim=2)
    assert torch.equal(masked == 0, bands[:, None, :] | stretches[:, :, None])
    assert bands.sum(dim=1).max() == 4
    assert stretches.sum(dim=1).max() == 3


def test_masks_reach_both_ends_alike():
    """The last band and the last frame were never hidden."""
    masked = mask_spectrogram(torch.ones(4000, 30, 16), 0.0, n_masks=1, max_bands=4, max_frames=3, generator=seeded())
    for hidden in ((masked == 0).all(dim=1), (masked == 0).all(dim=2)):
        shares = hidden.float().mean(dim=0)
        assert shares[-1] == pytest.approx(float(shares[0]), rel=0.3)
        assert shares[-1] > 0.02
