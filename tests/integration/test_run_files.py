"""`edged run` on files: events, exact books, exit codes, reload, stop."""

import signal

import numpy as np
import psutil
import pytest
import soundfile
import soxr

from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_books, receive_until

N_NORMAL_S, N_FAULT_S = 8, 6


@pytest.fixture
def day(tmp_path):
    """Normal, fault, normal."""
    sound = np.concatenate([hum(N_NORMAL_S, 100), hum(N_FAULT_S, 101, fault=True), hum(N_NORMAL_S, 102)])
    path = tmp_path / "day.wav"
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    return path


def _resampled(path, rate_hz):
    """The same file at another rate, in the second of two channels."""
    sound, _ = soundfile.read(path, dtype="float32")
    played = soxr.resample(sound, RATE_HZ, rate_hz)
    soundfile.write(path, np.stack([0 * played, played], axis=1), rate_hz, subtype="FLOAT")


def _torn(path):
    sound, rate_hz = soundfile.read(path, dtype="float32")
    sound[3 * rate_hz : 3 * rate_hz + 99] = np.nan
    soundfile.write(path, sound, rate_hz, subtype="FLOAT")


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_a_file_is_scored_to_its_end_with_the_events_of_the_offline_command(plant, day, tmp_path, rate_hz):
    """Also at another rate, in another channel, and with samples that are not numbers."""
    normal = tmp_path / "normal"
    normal.mkdir()
    for seed in range(12):
        soundfile.write(normal / f"{seed}.wav", hum(3, seed), RATE_HZ, subtype="FLOAT")
    channel = int(rate_hz != RATE_HZ)
    if channel:
        for path in (day, *normal.iterdir()):
            _resampled(path, rate_hz)
        _torn(day)
    plant.add("press", {"source": "file", "path": str(day), "speed": 0})
    plant.settings["streams"]["press"]["channel"] = channel
    plant.settings["exit_when_done"] = True
    plant.enroll("press", normal, channel=channel)
    with plant.daemon() as process:
        assert process.wait(60) == 0, (plant.directory / "log").read_text()
    events = plant.journal()
    alarms = [event for event in events if event["monitor"] == "anomaly"]
    assert [event["kind"] for event in alarms] == ["onset", "cleared"]
    assert alarms[0]["onset_s"] == pytest.approx(N_NORMAL_S, abs=1.1)
    assert alarms[1]["offset_s"] == pytest.approx(N_NORMAL_S + N_FAULT_S, abs=1.6)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    offline = plant.call("score", "--stream", "press", "--events", "--jsonl", "--channel", channel, day)
    for event, line in zip(alarms, offline.splitlines(), strict=True):
        assert f'"score": {event["score"]}' in line


def test_sigterm_stops_within_5_s_with_everything_heard_accounted_for(plant, day, normal_clips):
    plant.add("press", {"source": "file", "path": str(day), "speed": 1.0, "loop": True})
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event["kind"] == "score")
        status = client.call("status")
        assert_books_balance(status)
        assert status["devices"]["press"]["state"] == "running"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5.0) == 0
        receive_until(subscriber, lambda event: event.get("subject") == "daemon" and event["state"] == "stopped")


def test_enrolment_on_the_running_daemon_is_taken_up_and_can_be_rolled_back(plant, day, normal_clips):
    plant.add("press", {"source": "file", "path": str(day), "speed": 4.0, "loop": True})
    plant.settings["control"] = {"directories": [str(normal_clips)]}
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        assert client.call("status")["streams"]["press"]["banks"] == {"anomaly": 0}
        report = client.call("enroll", {"stream": "press", "clips": [str(normal_clips)]}, timeout_s=60.0)
        assert report["version"] == 1
        scored = receive_until(subscriber, lambda event: event["kind"] == "score")
        assert scored[-1]["bank"] == 1
        receive_until(subscriber, lambda event: event["kind"] == "onset")
        client.call("references.remove", {"stream": "press"})
        receive_until(subscriber, lambda event: event.get("subject") == "bank" and event["state"] == "0")
        plant.call("references", "rollback", "--stream", "press", "--version", "1")
        receive_until(subscriber, lambda event: event.get("subject") == "bank" and event["state"] == "1")
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["sample_end"] >= 20 * RATE_HZ)
        # what was heard last depends on how busy this computer is: the fault may be among it
        wanted = {"stream": "press", "last_s": 20.0, "domain": "night", "force": True}
        heard = client.call("enroll", wanted, timeout_s=60.0)
        assert heard["added_clips"] >= 1
        client.call("stop")
        assert process.wait(5.0) == 0


def _no_samples(path):
    soundfile.write(path, np.zeros(0, np.float32), RATE_HZ)


def _truncated(path):
    soundfile.write(path, hum(2), RATE_HZ)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("make", "channel", "reason"),
    [
        (lambda _: None, 0, "no such file"),
        (_no_samples, 0, "holds no samples"),
        (_truncated, 0, "truncated"),
        (lambda path: path.write_text("not a sound"), 0, "not readable as audio"),
        (lambda path: soundfile.write(path, hum(1), RATE_HZ), 7, "channel 7 of a device with 1 channels"),
    ],
)
def test_a_file_that_cannot_be_played_is_one_status_event_and_exit_1(plant, tmp_path, make, channel, reason):
    make(tmp_path / "day.wav")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 0})
    plant.settings["streams"]["press"]["channel"] = channel
    plant.settings["exit_when_done"] = True
    assert plant.run("run").returncode == 1
    failed = [event for event in plant.journal() if event.get("state") == "failed"]
    assert [event["stream"] for event in failed] == ["press"]
    assert reason in failed[0]["reason"]


def test_a_file_of_96_khz_and_6_channels_is_heard_like_any_other(plant, tmp_path, normal_clips):
    sound = np.zeros((4 * 96000, 6), np.float32)
    sound[:, 4] = soxr.resample(hum(4, 9), RATE_HZ, 96000)
    soundfile.write(tmp_path / "six.wav", sound, 96000, subtype="PCM_24")
    plant.add("press", {"source": "file", "path": str(tmp_path / "six.wav"), "speed": 2.0})
    plant.settings["streams"]["press"]["channel"] = 4
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process), plant.subscriber() as subscriber:
        books = receive_books(subscriber, "press")["anomaly"]
    assert abs(books["received"] - 4 * RATE_HZ) <= 1
    assert books["scored"] >= 3 * RATE_HZ
    assert books["missing"] == 0


def test_raw_pcm_on_standard_input(plant, day, normal_clips):
    plant.add("press", {"source": "pcm", "encoding": "f32le"})
    plant.settings["exit_when_done"] = True
    plant.enroll("press", normal_clips)
    samples, _ = soundfile.read(day, dtype="float32")
    done = plant.run("run", stdin=samples.tobytes())
    assert done.returncode == 0
    kinds = [event["kind"] for event in plant.journal() if event["monitor"] == "anomaly"]
    assert kinds == ["onset", "cleared"]


def test_not_a_number_on_a_stream_is_a_declared_gap(plant, normal_clips, tmp_path):
    sound = hum(6, 5)
    sound[40000:40010] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "nan.wav"), "speed": 1.0})
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        books = receive_books(subscriber, "press")["anomaly"]
        assert books["missing"] == 160
        assert books["received"] == 6 * RATE_HZ - 160
        assert_books_balance(client.call("status"))


def test_a_second_daemon_on_the_same_state_is_refused(plant, day):
    plant.add("press", {"source": "file", "path": str(day), "loop": True})
    with plant.daemon() as process, plant.client(process):
        second = plant.run("run")
        assert second.returncode == 1
        assert b"another daemon uses it" in second.stderr


def test_an_open_bind_is_refused_with_the_code_for_configuration(plant, day):
    plant.add("press", {"source": "file", "path": str(day)})
    plant.settings["events"]["bind"] = "tcp://0.0.0.0:5999"
    done = plant.run("run")
    assert done.returncode == 78
    assert b"without keys" in done.stderr


def test_sighup_takes_over_what_others_enrolled(plant, day, normal_clips):
    """The state is written without asking the daemon, as a restored backup would be."""
    plant.add("press", {"source": "file", "path": str(day), "speed": 1.0, "loop": True})
    with plant.daemon() as process, plant.client(process), plant.subscriber() as subscriber:
        plant.enroll("press", normal_clips)
        process.send_signal(signal.SIGHUP)
        changed = receive_until(subscriber, lambda event: event.get("subject") == "bank")[-1]
        assert (changed["stream"], changed["state"]) == ("press", "1")


def test_sigterm_while_the_worker_is_busy_stops_within_5_s_too(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.tile(hum(10, 3), 60), RATE_HZ, subtype="PCM_16")
    plant.add("press", {"source": "file", "path": str(tmp_path / "long.wav"), "speed": 0, "loop": True})
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process), plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event["kind"] == "score")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5.0) == 0
    assert plant.journal()[-1]["state"] == "stopped"


def test_a_daemon_killed_with_sigkill_takes_its_children_along_and_can_start_again(plant, day):
    plant.add("press", {"source": "file", "path": str(day), "speed": 1.0, "loop": True})
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event.get("state") == "running")
        child = psutil.Process(client.call("status")["devices"]["press"]["child_pid"])
        process.kill()
        child.wait(10.0)
    last_seq = plant.journal()[-1]["seq"]
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event.get("seq", 0) > last_seq and event["state"] == "running")
        client.call("stop")
        assert process.wait(5.0) == 0
    assert [event["seq"] for event in plant.journal()] == list(range(1, len(plant.journal()) + 1))
