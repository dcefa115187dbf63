"""Log spectrograms stay small and show a tone where it is."""

import numpy as np
import pytest

from trainer.report.spectrograms import MAX_FRAMES, log_spectrogram, spectrogram_plot


@pytest.mark.parametrize("seconds", [0.001, 0.3, 10.0, 60.0])
def test_size_is_bounded(seconds):
    shape = log_spectrogram(np.ones(int(16_000 * seconds), np.float32)).shape
    assert 1 <= shape[0] <= MAX_FRAMES
    assert shape[1] == 128


def test_a_tone_is_where_it_sounds():
    time_s = np.arange(32_000) / 16_000
    samples = np.where(time_s < 1.0, np.sin(2 * np.pi * 3000 * time_s), 0.0).astype(np.float32)
    spectrogram = log_spectrogram(samples)
    assert abs(spectrogram[10].argmax() * 62.5 - 3000) < 100
    assert spectrogram[10].max() - spectrogram[-1].max() > 60


def test_digital_silence_can_be_drawn():
    assert "svg" in spectrogram_plot(log_spectrogram(np.zeros(16_000, np.float32)), 1.0, "a")
