"""A word enrolled from three clips on the running daemon is heard the next time it is spoken."""

import numpy as np
import pytest
import soundfile

from edged.control.transfer import sent_files
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from tests.integration.helpers import RATE_HZ, receive_until

LEVEL = 0.05
FIRST_S, EVERY_S, N_SPOKEN = 2.0, 3.0, 40
SPOKEN = ("maintenance-1", "maintenance-2", "maintenance-3", "maintenance-4")
KEYWORD_DELAY_S = 1.0


@pytest.fixture
def hall(plant):
    """A plant whose microphone hears the same word every three seconds, by voices that are not enrolled."""
    rng = np.random.default_rng(3)
    sound = 1e-4 * rng.standard_normal(round((FIRST_S + N_SPOKEN * EVERY_S) * RATE_HZ)).astype(np.float32)
    for number in range(N_SPOKEN):
        clip, first = spoken_clip(SPOKEN[number % len(SPOKEN)]), round(onset_s(number) * RATE_HZ)
        sound[first : first + len(clip)] += np.float32(LEVEL) * clip
    soundfile.write(plant.directory / "hall.wav", sound, RATE_HZ, subtype="FLOAT")
    plant.add("hall", {"source": "file", "path": str(plant.directory / "hall.wav"), "speed": 1.0}, {"keyword": {}})
    return plant


def onset_s(number):
    """When the word is spoken for the n-th time."""
    return FIRST_S + number * EVERY_S


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ENROLMENT_CLIPS:
        path = tmp_path / "clips" / f"{name}.wav"
        soundfile.write(path, np.pad(LEVEL * spoken_clip(name), 4000), RATE_HZ, subtype="FLOAT")
    return sorted((tmp_path / "clips").iterdir())


def heard_s(client):
    """Seconds that the keyword monitor has received."""
    return client.call("status")["streams"]["hall"]["samples"]["keyword"]["received"] / RATE_HZ


def enrolled(client, paths, **more):
    with sent_files(client, paths) as transfer:
        return client.call(
            "enroll", {"stream": "hall", "keyword": "maintenance", "transfer": transfer, **more}, timeout_s=60
        )


def test_a_word_enrolled_on_the_running_daemon_is_heard_the_next_time_it_is_spoken(hall, clips):
    with hall.daemon() as process, hall.client(process) as client, hall.subscriber(("keyword.", "status.")) as events:
        receive_until(events, lambda event: event.get("state") == "running")
        report = enrolled(client, clips)
        since_s = heard_s(client)
        assert (report["version"], report["added_clips"], report["doubts"]) == (1, 3, [])
        first = receive_until(events, lambda event: event["kind"] == "keyword")[-1]
        after = receive_until(events, lambda event: event["kind"] == "keyword")[-1]
    coming = [onset_s(number) for number in range(N_SPOKEN) if onset_s(number) > since_s]
    under_way = [s for s in (onset_s(number) for number in range(N_SPOKEN)) if since_s - KEYWORD_DELAY_S < s <= since_s]
    assert first["onset_s"] == pytest.approx(coming[0], abs=0.25) or (
        under_way and first["onset_s"] == pytest.approx(under_way[-1], abs=0.25)
    )
    assert after["onset_s"] - first["onset_s"] == pytest.approx(EVERY_S, abs=0.3)
    assert (first["keyword"], first["bank"]) == ("maintenance", 1)


def test_a_doubtful_clip_and_a_counter_example_go_through_the_daemon_as_they_do_without(hall, clips, tmp_path):
    soundfile.write(tmp_path / "forklift.wav", np.pad(LEVEL * spoken_clip("forklift-1"), 4000), RATE_HZ)
    word, stranger = ("enroll", "--stream", "hall", "--keyword", "maintenance"), tmp_path / "forklift.wav"
    with hall.daemon() as process, hall.client(process):
        doubted = hall.run(*word, *clips[:2], stranger)
        assert doubted.returncode == 1
        assert b"forklift.wav: the odd one out" in doubted.stderr
        assert hall.run("references", "--stream", "hall").returncode == 1
        assert "3 clips added as 'maintenance' (3 in all, 1 left out)" in hall.call(*word, *clips, stranger)
        hall.call("enroll", "--stream", "hall", "--keyword", "maintenance", "--not", tmp_path / "forklift.wav")
        shown = hall.call("references", "--stream", "hall")
        assert "changed maintenance, not 'forklift'" in shown
        hall.call("references", "rollback", "--stream", "hall", "--monitor", "keyword")
        assert "version 1; maintenance: 3 clips" in hall.call("references", "--stream", "hall")
