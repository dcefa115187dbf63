"""A bundle with another background: the same network, four bits a value, reproducible; words fit to it as before."""

import numpy as np
import pytest

from edged.assembly import open_bundle
from edged.errors import BundleError
from edged.frontend import PACKED, background_rows, keyword_reach, speech_rows
from trainer.data.background_speech import background_scenes
from trainer.data.keywords import WordClip
from trainer.data.speech_corpus import Material
from trainer.keyword_calibration import calibrated

RATE_HZ = 16_000


def tone(frequency_hz, seconds=0.6):
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.2 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def material():
    """Words whose first half is one tone and whose second is another, so that halves can be told."""
    clips = {
        f"w{k}": [WordClip(f"w{k}", "s", np.concatenate([tone(300 + 40 * k), tone(2000 + 40 * k)]))] for k in range(6)
    }
    noise = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32) * 0.05
    return Material([noise], clips, {})


def test_a_background_of_minutes_in_place_of_the_shipped_one(tmp_path):
    made = calibrated(open_bundle("keyword").directory, tmp_path / "made", material(), 20.0, version="9.9.9")
    rows = speech_rows(made)
    assert len(rows) >= 20.0 * RATE_HZ / 256
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=0.1)
    assert made.calibration[PACKED].nbytes == len(rows) * 64
    np.testing.assert_array_equal(background_rows(made), rows[: len(background_rows(made))])
    assert made.manifest.version == "9.9.9"
    assert keyword_reach(made).quantile == 0.05
    again = calibrated(open_bundle("keyword").directory, tmp_path / "again", material(), 20.0)
    np.testing.assert_array_equal(speech_rows(again), rows)


def test_the_network_in_fewer_bits_comes_along(tmp_path):
    """It was left out, while the manifest went on to state its parity."""
    shipped = open_bundle("keyword")
    made = calibrated(shipped.directory, tmp_path / "made", material(), 5.0)
    assert made.manifest.files["model-fp16.onnx"] == shipped.manifest.files["model-fp16.onnx"]
    assert made.manifest.parity == shipped.manifest.parity


def test_another_kind_of_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no keyword bundle"):
        calibrated(open_bundle("anomaly").directory, tmp_path / "made", material(), 5.0)
    assert not (tmp_path / "made").exists()


def test_no_recorded_word_is_left_whole():
    """Each word is a low tone and then a high one; halves of other words are joined, so their tones do not fit."""
    scenes = background_scenes(np.random.default_rng(1), Material([], material().clips, {}), 30.0)
    assert sum(map(len, scenes)) >= 30.0 * RATE_HZ
    assert all(np.isfinite(scene).all() and len(scene) for scene in scenes)
    repeated = sum(_is_whole(scene) for scene in scenes)
    assert repeated <= len(scenes) // 2


def _is_whole(scene):
    """Whether the first two halves of a scene are of the same word, which chance makes of one scene in six."""
    spectra = [np.abs(np.fft.rfft(scene[first : first + 4000])) for first in (1000, 11_000)]
    low, high = (np.fft.rfftfreq(4000, 1 / RATE_HZ)[np.argmax(spectrum)] for spectrum in spectra)
    return abs((high - 2000) - (low - 300)) < 20
