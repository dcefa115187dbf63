"""Both sides of a device: the product's own child and reader, on a file."""

import numpy as np
import pytest
import soundfile as sf

from edged.assembly import open_bundle
from edged.bench import capture
from edged.bench.capture import CaptureBench
from edged.capture.source import SourceSpec
from edged.config import AnomalySettings, CaptureSettings
from edged.errors import EdgedError
from edged.pipeline import AnomalyMonitor

WORK = (np.fft.rfft(np.ones(4096)) for _ in iter(int, 1))
"""Without end."""
SETTINGS = CaptureSettings(ring_s=10, start_timeout_s=10.0)


@pytest.fixture(scope="module")
def monitors():
    return [AnomalyMonitor("press", open_bundle("anomaly"), AnomalySettings())]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "_FAST_S", 1.0)
    sound = 0.1 * np.random.default_rng(0).standard_normal((48_000, 2)).astype(np.float32)
    sf.write(tmp_path / "sound.wav", sound, 48_000, subtype="PCM_16")
    return SourceSpec("file", str(tmp_path / "sound.wav"), loop=True, block_s=0.04)


def test_child_and_reader_are_measured(spec, monitors, tmp_path):
    cost = CaptureBench(spec, (0, 1), monitors, CaptureSettings(ring_s=10), directory=tmp_path, work=WORK.__next__).run(
        1.0
    )
    assert cost.n_streams == 2
    assert cost.child.name == "capture child"
    assert cost.reader.name == "capture reader"
    for stage in (cost.child, cost.reader):
        assert 0 < stage.load < 1
        assert stage.calls >= 25  # blocks of a second, and the format
        assert 0 < stage.p50_s <= stage.p99_s
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.wav"]


def test_a_child_that_delivers_nothing_is_an_error(spec, monitors, tmp_path):
    bench = CaptureBench(
        spec, (0,), monitors, CaptureSettings(ring_s=10, start_timeout_s=1.0), directory=tmp_path, work=WORK.__next__
    )
    (tmp_path / "sound.wav").unlink()
    with pytest.raises(EdgedError, match="delivers nothing"):
        bench._in_real_time(0.1)
