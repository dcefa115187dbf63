"""What is explained: which segment of a recording, and by which threshold."""

import numpy as np
import pytest
import soundfile

from edged.assembly import Assembly
from edged.config import Config
from edged.explain.case import _segments, case_of_file
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.store import BankStore
from edged.references.thresholds import FoundThresholds, ThresholdStore
from tests.edged.explain.conftest import hum, small_bundle

SPEC = AnomalySpec(segment_samples=32000, hop_samples=8192, inputs=(), n_mels=64, statistics={"mean": ("mean", "std")})


@pytest.fixture
def enrolled(tmp_path):
    bundle = small_bundle(tmp_path / "small", {"mean": ("mean", "std")}).directory
    monitors = {"anomaly": {"bundle": str(bundle), "false_alarms_per_day": 1.0}}
    config = Config.model_validate({
        "state_dir": str(tmp_path), "devices": {"d": {"source": "microphone"}},
        "streams": {"pump": {"device": "d", "monitors": monitors}},
    })  # fmt: skip
    with BankStore(tmp_path) as store:
        clips = [clip_of_samples(f"{seed}", hum(4.0, seed), ANOMALY_CLIPS) for seed in range(4)]
        enroll_domain(Assembly(config), store, "pump", clips)
        yield config, store


def test_the_threshold_is_the_one_in_force(tmp_path, enrolled):
    # it was that of the enrolled clips, whatever had been found for the budget since
    config, store = enrolled
    soundfile.write(tmp_path / "odd.wav", hum(8.0, 9, tone=(3000, 4.0, 6.0, 0.2)), 16000)
    with ThresholdStore(tmp_path) as found:
        found.save("pump", "anomaly", FoundThresholds(1, 1.0, 0.9, 7.0, {"source": 7.5}))
    case = case_of_file(config, store, "pump", tmp_path / "odd.wav")
    assert case.threshold == 7.5
    assert 2.0 < case.segment.sample_start / 16000 < 6.0


def test_a_name_that_is_no_text_can_be_printed(tmp_path, enrolled):
    config, store = enrolled
    path = tmp_path / "odd\udcff\n.wav"
    soundfile.write(str(tmp_path / "odd.wav"), hum(4.0, 9), 16000)
    (tmp_path / "odd.wav").rename(path)
    case = case_of_file(config, store, "pump", path)
    assert (case.title + case.name + case.about["file"]).isprintable()


@pytest.mark.parametrize("n_samples", [100, 32000, 32001, 100_000])
def test_segments_one_after_the_other_are_those_of_the_whole(n_samples):
    samples = hum(7.0, 3)[:n_samples]
    ours, theirs = list(_segments(samples, SPEC)), clip_segments(samples, SPEC)
    assert [(s.sample_start, s.sample_end) for s in ours] == [(s.sample_start, s.sample_end) for s in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.features["mean"], other.features["mean"])
