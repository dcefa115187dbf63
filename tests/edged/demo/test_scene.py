"""The scene is its seed's, and what it claims to contain can be measured in it."""

import itertools

import numpy as np
import pytest

from edged.configfile import parse_config
from edged.demo.scene import Scene, drawn_scene
from edged.demo.speech import spoken_clip
from edged.demo.timeline import HALL, KEYWORD, PRESS, PUMP, Fault, SpokenWord, Timeline, drawn_timeline
from edged.demo.workspace import Workspace, configuration

RATE_HZ = 16000
SHORT = Timeline(
    duration_s=24.0,
    shift_s=16.0,
    faults=(Fault(PUMP, "pitted bearing", 6.0, 11.0), Fault(PRESS, "leaking air line", 6.0, 11.0)),
    words=(SpokenWord(KEYWORD, f"{KEYWORD}-1", 3.0, 3.8),),
)


def short_scene(seed):
    return Scene(seed, drawn_scene(seed).plant, SHORT)


@pytest.fixture(scope="module")
def heard():
    return short_scene(3).render()


def band_db(samples, start_s, end_s, low_hz, high_hz, percentile=25):
    """Level of a band: a percentile over frames of 32 ms; a low one hears what is there between strokes."""
    frames = samples[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)]
    frames = frames[: len(frames) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    frequency_hz = np.fft.rfftfreq(512, 1 / RATE_HZ)
    power = np.abs(np.fft.rfft(frames)) ** 2  # (n_frames, 257)
    return 10 * np.log10(
        np.percentile(power[:, (frequency_hz >= low_hz) & (frequency_hz < high_hz)].mean(axis=1), percentile)
    )


def test_a_seed_gives_the_same_samples_and_another_seed_others(heard):
    again, other = short_scene(3).render(), short_scene(4).render()
    for stream in (PUMP, PRESS, HALL):
        np.testing.assert_array_equal(again[stream], heard[stream])
        assert not np.array_equal(other[stream], heard[stream])


def test_signals_fit_their_files(heard):
    for stream in (PUMP, PRESS, HALL):
        assert heard[stream].dtype == np.float32
        assert heard[stream].shape == (int(24.0 * RATE_HZ),)
        assert 0.05 < np.abs(heard[stream]).max() < 1.0


@pytest.mark.parametrize(
    ("stream", "low_hz", "high_hz", "percentile"), [(PUMP, 2500, 6000, 75), (PRESS, 3500, 7500, 25)]
)
def test_a_fault_is_heard_while_it_lasts_and_only_then(heard, stream, low_hz, high_hz, percentile):
    before, during, after = (
        band_db(heard[stream], start_s, start_s + 3.2, low_hz, high_hz, percentile) for start_s in (2.0, 8.0, 11.5)
    )
    assert during > before + 2
    assert during > after + 2


def test_the_change_of_domain_changes_both_machines(heard):
    for stream in (PUMP, PRESS):
        assert abs(band_db(heard[stream], 12, 16, 1500, 3000) - band_db(heard[stream], 20, 24, 1500, 3000)) > 2


def test_a_word_stands_where_the_truth_says(heard):
    before, during = (np.sqrt(np.mean(heard[HALL][int(s * RATE_HZ) : int((s + 0.8) * RATE_HZ)] ** 2)) for s in (2, 3))
    assert during > 3 * before


@pytest.mark.parametrize("seed", range(5))
def test_every_story_leaves_time_between_its_events(seed):
    timeline = drawn_timeline(np.random.default_rng(seed))
    first, second, third = timeline.faults
    assert first.end_s + 60 < timeline.shift_s
    assert timeline.shift_s + 220 < second.start_s
    assert third.end_s + 45 < timeline.duration_s
    assert sum(word.word == KEYWORD for word in timeline.words) == 4
    for earlier, later in itertools.pairwise(timeline.words):
        assert earlier.end_s + 5 < later.start_s


def test_enrolment_and_scene_use_different_recordings_of_the_word():
    timeline = drawn_timeline(np.random.default_rng(0))
    spoken = {word.clip for word in timeline.words}
    assert not any("enrol" in clip for clip in spoken)
    for clip in spoken:
        assert 0.4 < len(spoken_clip(clip)) / RATE_HZ < 1.2


def test_clips_are_normal_sound_of_the_same_plant():
    clips = drawn_scene(3).plant.clips(0.0, 3, np.random.default_rng(9))[PUMP]
    assert [clip.shape for clip in clips] == [(160000,)] * 3
    assert not np.array_equal(clips[0], clips[1])


def test_the_configuration_is_one(tmp_path):
    config = parse_config(configuration(Workspace(tmp_path, tmp_path), 20.0), "demo")
    assert set(config.streams) == {PUMP, PRESS, HALL}
