"""What makes a clip a template: only the sound of it, and only if it can be a word."""

import numpy as np
import pytest

from edged.errors import EnrolmentError
from edged.references.templates import template_of_clip


def clip(sound_s, total_s=1.0):
    samples = np.zeros(int(total_s * 16_000), dtype=np.float32)
    n_sound, start = int(sound_s * 16_000), 3_200
    samples[start : start + n_sound] = 0.1 * np.sin(np.arange(n_sound) * 0.3)
    return samples, np.arange(-(-len(samples) // 256), dtype=np.float32)[:, None]


def test_the_silence_is_cut_off_and_the_last_moment():
    rows = template_of_clip("word.wav", *clip(0.4), 256)
    assert rows[0, 0] == pytest.approx(3_200 / 256, abs=1.5)
    assert rows[-1, 0] == pytest.approx((3_200 + 6_400) / 256 - 4, abs=1.5)


@pytest.mark.parametrize(
    ("sound_s", "total_s", "reason"),
    [(0.0, 1.0, "nothing is heard"), (0.05, 1.0, "too short"), (4.0, 5.0, "too long")],
)
def test_what_is_refused_and_why(sound_s, total_s, reason):
    with pytest.raises(EnrolmentError, match=rf"word\.wav.*{reason}"):
        template_of_clip("word.wav", *clip(sound_s, total_s), 256)
