"""The parts that `tests.bench.streams` measures with: a benchmark that misses losses would say that there are none."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.bench.hall_site import Layout
from tests.bench.hall_sound import LOOP_S, Span, rounds
from tests.bench.paced_writer import PERIOD_FRAMES, RATE_HZ, Card, write_plan
from tests.bench.streams import keeps_up, largest
from tests.integration.helpers import REPOSITORY


def started_writer(directory, duration_s):
    """A writer of one card, with what it writes in a round."""
    loop = np.arange(4 * PERIOD_FRAMES * 2, dtype=np.int16).reshape(-1, 2)
    np.save(directory / "loop.npy", loop)
    os.mkfifo(directory / "card")
    plan = directory / "plan.json"
    write_plan(plan, [Card(str(directory / "card"), str(directory / "loop.npy"), first=3)], duration_s)
    command = [sys.executable, "-m", "tests.bench.paced_writer", str(plan)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True), loop


def test_the_writer_keeps_the_pace_of_the_clock_and_writes_its_loop(tmp_path):
    writer, loop = started_writer(tmp_path, 0.48)
    with writer, (tmp_path / "card").open("rb") as card:
        began_s = json.loads(writer.stdout.readline())["began_s"]
        heard = np.frombuffer(card.read(), "<i2").reshape(-1, 2)
        took_s = time.monotonic() - began_s
        figures = json.loads(writer.stdout.read())
    assert took_s >= 0.48
    assert figures["frames"] == len(heard) == 0.48 * RATE_HZ
    assert figures["lost_frames"] == [0]
    expected = np.roll(loop, -3 * PERIOD_FRAMES, axis=0)
    np.testing.assert_array_equal(heard, np.resize(expected, heard.shape))


def test_what_nobody_takes_is_lost_and_counted(tmp_path):
    writer, _ = started_writer(tmp_path, 1.6)  # 102 kB into a pipe of 64 KiB
    with writer, (tmp_path / "card").open("rb") as card:
        began_s = json.loads(writer.stdout.readline())["began_s"]
        while time.monotonic() < began_s + 1.6:
            time.sleep(0.1)
        heard = np.frombuffer(card.read(), "<i2").reshape(-1, 2)
        figures = json.loads(writer.stdout.read())
    steps = np.diff(heard.astype(int), axis=0) % (8 * PERIOD_FRAMES)
    assert set(np.unique(steps[:, 0] % (2 * PERIOD_FRAMES))) == {2}  # whole periods are missing, and nothing else
    assert figures["lost_frames"][0] > 0  # it did not wait for who reads
    assert len(heard) + figures["lost_frames"][0] == figures["frames"] == 1.6 * RATE_HZ


def test_rounds_are_those_of_the_loop():
    fault = Span(30.0, 40.0)
    assert rounds(fault, 0.0, LOOP_S + 35.0) == [fault, Span(LOOP_S + 30.0, LOOP_S + 40.0)]
    assert rounds(fault, 35.0, 20.0) == [Span(-5.0, 5.0)]
    assert rounds(fault, 20.0, 5.0) == []


def test_words_are_spread_over_the_cards():
    layout = Layout(16, 4, 4)
    assert layout.keyword_streams == [0, 4, 8, 12]
    assert list(layout.cards) == [0, 1, 2, 3]
    assert Layout(6, 4, 4).keyword_streams == [0, 4, 1, 5]


@pytest.mark.parametrize("limit", [1, 4, 13, 16, 22, 44, 127, 300])
def test_the_search_finds_the_largest_number(limit):
    found = largest(lambda n: n <= limit, 16)
    assert found <= limit
    assert found > min(limit, 256) - 4


def test_keeping_up_means_to_lose_nothing_and_to_fall_behind_by_nothing():
    good = {"lost_samples": 0, "unaccounted_samples": 0, "events_missed": 0, "waiting_s": {"at_the_end": 0.1}}
    assert keeps_up(good)
    for worse in ({"lost_samples": 1}, {"unaccounted_samples": 1}, {"events_missed": 1}):
        assert not keeps_up(good | worse)
    assert not keeps_up(good | {"waiting_s": {"at_the_end": 5.0}})
