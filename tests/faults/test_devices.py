"""A microphone that comes late, goes, comes back under another number and at another rate, and plays strange things.

All on a simulated clock (`tests/fakes/site.py`). After each: samples in = scored + declared lost, every fault that was
heard is in the journal once and where it was, the state is readable. ``EDGED_DEVICE_CYCLES=1000`` for the long run.
"""

import os
import threading
import time

import numpy as np
import pytest
import soundfile
import soxr
from prometheus_client import generate_latest

from edged.assembly import Assembly
from edged.flow import SAMPLE_RATE_HZ
from edged.references.enroll import enroll_paths
from edged.references.store import BankStore
from tests.fakes.site import CARD, CHILD_STARTS_IN_S, ENDINGS, Site, Visit
from tests.integration.helpers import assert_books_balance, hum

N_CYCLES = int(os.environ.get("EDGED_DEVICE_CYCLES", "30"))
RATES_HZ = (16000, 44100, 48000)
REPORT = bool(os.environ.get("EDGED_DEVICE_REPORT"))


@pytest.fixture(scope="session")
def clips_at_all_rates(tmp_path_factory):
    """A card's rate is heard: its resampler ends the band. So each rate is enrolled, as a domain of its own."""
    directories = {}
    for rate_hz in RATES_HZ:
        directories[rate_hz] = tmp_path_factory.mktemp(str(rate_hz))
        for seed in range(12):
            sound = soxr.resample(hum(3.0, seed), SAMPLE_RATE_HZ, rate_hz)
            soundfile.write(directories[rate_hz] / f"{seed}.wav", sound, rate_hz, subtype="FLOAT")
    return directories


@pytest.fixture
def card(plant, clips_at_all_rates):
    """Two streams of one card, both enrolled."""
    plant.add("machine", {"source": "microphone", "name": CARD})
    anomaly = plant.settings["streams"]["machine"]["monitors"]
    plant.settings["streams"]["beside"] = {"device": "machine", "channel": 1, "monitors": anomaly}
    plant.settings["clips"] = {"anomaly": False}
    plant.settings["capture"] = {"ring_s": 10.0}
    with BankStore(plant.config.state_path) as store:
        for stream in ("machine", "beside"):
            for rate_hz, clips in clips_at_all_rates.items():
                domain = None if rate_hz == SAMPLE_RATE_HZ else f"at-{rate_hz}"
                enroll_paths(Assembly(plant.config), store, stream, [clips], domain=domain)
    return plant


def live_through(site, timeout_s=3600.0):
    """Start, play the script to its end, judge everything, stop; the status before it stopped."""
    site.start()
    try:
        wait_until(lambda: site.worker.is_done, timeout_s)
        status = site.status()
        metrics = generate_latest(site.metrics.registry).decode()
    finally:
        site.stop()
    assert 'edged_device_state{device="machine",state="ended"} 1.0' in metrics
    return status


def wait_until(holds, timeout_s=60.0):
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.02)


def assert_nothing_unaccounted(site, status, tolerance_samples):
    """Books against books, and books against the true time between the first sample and the last."""
    assert_books_balance(status)
    true_samples = (site.last_s - site.first_s) * SAMPLE_RATE_HZ
    for stream in status["streams"].values():
        books = stream["samples"]["anomaly"]
        assert books["pending"] == 0
        assert books["received"] + books["missing"] == stream["heard"]
        assert abs(stream["heard"] - true_samples) <= tolerance_samples


def assert_every_fault_told(site, plant):
    """One onset for each fault, of the right stream, at the right time; nothing of the healthy one."""
    events = plant.journal()
    onsets = [event for event in events if event["kind"] == "onset"]
    assert {event["stream"] for event in onsets} <= {"machine"}
    late_s = np.array([site.wall_s(event) for event in onsets]) - np.array(site.faults_s)
    assert len(late_s) == len(site.faults_s)
    assert late_s.min() > 0.0
    assert late_s.max() < 1.7
    sequence = [event["seq"] for event in events]
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    return events


def states(events, stream="machine", subject="capture"):
    return [e["state"] for e in events if e["kind"] == "status" and (e["stream"], e["subject"]) == (stream, subject)]


@pytest.mark.timeout(300 + 5 * N_CYCLES)
def test_a_card_pulled_out_and_put_back_again_and_again(card):
    rng = np.random.default_rng(1)
    visits = [
        Visit(
            parts=((1.8, "normal"), (1.6, "fault"), (float(rng.choice([0.0, 0.4])), "normal")),
            away_s=float(np.exp(rng.uniform(np.log(0.1), np.log(300.0)))),
            rate_hz=int(rng.choice(RATES_HZ)),
            ending=ENDINGS[n % len(ENDINGS)],
            place=int(rng.integers(0, 4)),
            is_ragged=bool(rng.integers(0, 2)),
        )
        for n in range(N_CYCLES + 1)
    ]
    site = Site(card.config, visits)
    began_s = time.monotonic()
    status = live_through(site)
    took_s = time.monotonic() - began_s
    assert_nothing_unaccounted(site, status, tolerance_samples=4 * N_CYCLES)
    events = assert_every_fault_told(site, card)
    assert status["devices"]["machine"]["restarts"] >= N_CYCLES
    told = states(events)
    assert told.count("running") == N_CYCLES + 1
    assert told[-1] == "ended"
    assert told == states(events, "beside")
    # A card may be back before it is missed: then it waits for that, and for the longest back-off.
    assert max(site.delays_s) < card.config.capture.stall_timeout_s + 1.2 * 30.0 + 2 * CHILD_STARTS_IN_S
    if REPORT:
        books = status["streams"]["machine"]["samples"]["anomaly"]
        print(f"\n{N_CYCLES} cycles, {site.now_s() / 3600:.1f} h, {len(site.faults_s)} faults, {took_s:.0f} s; {books}")


@pytest.mark.parametrize("appears_s", [1.0, 30.0, 300.0])
def test_a_card_that_is_not_there_at_the_start_is_heard_when_it_comes(card, appears_s):
    site = Site(card.config, [Visit(away_s=appears_s, parts=((2.0, "normal"), (2.0, "fault"), (3.0, "normal")))])
    status = live_through(site)
    assert_nothing_unaccounted(site, status, tolerance_samples=1)
    events = assert_every_fault_told(site, card)
    assert states(events) == ["absent", "running", "ended"]
    assert status["streams"]["machine"]["samples"]["anomaly"]["missing"] == 0
    assert site.delays_s[0] <= 1.2 * min(30.0, 2.0 * appears_s) + 2 * CHILD_STARTS_IN_S
    if REPORT:
        print(f"\nappeared after {appears_s:g} s, heard {site.delays_s[0]:.1f} s later")


@pytest.mark.parametrize(("kind", "told"), [("flat", ["flat", "ok"]), ("dc", ["dc", "ok"]), ("clicks", [])])
def test_an_input_that_is_no_sound_is_no_alarm_and_hides_none(card, kind, told):
    parts = ((6.0, "normal"), (20.0, kind), (15.0, "normal"), (2.0, "fault"), (4.0, "normal"))
    site = Site(card.config, [Visit(parts=parts)])
    heard = []
    site.on_part = heard.append
    status = live_through(site)
    assert_nothing_unaccounted(site, status, tolerance_samples=1)
    events = assert_every_fault_told(site, card) if kind != "clicks" else card.journal()
    assert states(events, subject="input") == told
    assert states(events, "beside", subject="input") == []
    assert heard == ["normal", kind, "normal", "fault", "normal"]


def test_a_stalled_worker_loses_what_does_not_fit_and_says_how_much(card):
    """Two minutes without a worker, with room for twenty seconds; what comes after is judged as ever."""
    gate, at_gate = threading.Event(), threading.Event()

    def on_part(kind):
        if kind == "clicks":  # the first after the stall: it must not begin before the worker is free
            gate.set()
            site.is_paced = True

    parts = ((4.0, "normal"), (120.0, "normal"), (0.04, "clicks"), (10.0, "normal"), (2.0, "fault"), (4.0, "normal"))
    site = Site(card.config, [Visit(parts=parts)])
    site.on_part = on_part
    site.is_paced = False
    block = lambda: (at_gate.set(), gate.wait(120.0))  # noqa: E731
    start = site._make_threads
    site._make_threads = lambda guard: (start(guard), site.worker.between_segments(block))
    status = live_through(site)
    assert at_gate.is_set()
    assert_nothing_unaccounted(site, status, tolerance_samples=1)
    assert_every_fault_told(site, card)
    for stream in status["streams"].values():
        assert stream["samples"]["anomaly"]["missing"] == stream["overflowed"]
        assert 100 * SAMPLE_RATE_HZ < stream["overflowed"] < 125 * SAMPLE_RATE_HZ
