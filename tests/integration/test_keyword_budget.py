"""A budget of false alarms on the running daemon: limits in its status, what was heard kept beyond its end."""

import signal

import numpy as np
import pytest
import soundfile

from edged.cli.messages import threshold_text
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.references.keyword_history import NearMissHistory
from tests.integration.helpers import RATE_HZ, receive_books, receive_until

SECONDS = 120


def test_the_status_tells_each_words_limit_and_what_was_heard_outlives_the_daemon(plant, tmp_path):
    sound = (0.02 * np.random.default_rng(0).standard_normal(SECONDS * RATE_HZ)).astype(np.float32)
    soundfile.write(plant.directory / "hall.wav", sound, RATE_HZ, subtype="FLOAT")
    source = {"source": "file", "path": str(plant.directory / "hall.wav"), "speed": 30.0}
    plant.add("hall", source, {"keyword": {"false_alarms_per_hour": 5.0}})
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ENROLMENT_CLIPS:
        soundfile.write(clips / f"{name}.wav", np.pad(0.05 * spoken_clip(name), 4000), RATE_HZ, subtype="FLOAT")
    plant.enroll("hall", clips, keyword="maintenance")
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber(("",)) as events:
        told = receive_until(events, lambda event: event.get("subject") == "threshold")[-1]
        books = receive_books(events, "hall")["keyword"]
        word = client.call("status")["streams"]["hall"]["keywords"]["words"]["maintenance"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert told["state"].startswith("maintenance: -")
    assert word["basis"] == "bundle's speech"
    assert word["false_alarms_per_hour"]["budget"] == 5.0
    assert "false alarms per hour" in threshold_text(word)
    with NearMissHistory(plant.config.state_path) as history:
        (hours,) = history._connection.execute("SELECT SUM(hours) FROM near_misses").fetchone()
    assert hours == pytest.approx(books["scored"] / RATE_HZ / 3600, rel=0.02)
