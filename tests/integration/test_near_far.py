"""A stream and its reference in the hall: what is found, and that it is the same live, offline and for any cut."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edged.assembly import Assembly
from edged.config import Config
from edged.flow import Block
from edged.offline import event_fields, judge_together
from edged.references.store import BankStore
from tests.fakes.hall import quiet, scene
from tests.fakes.sounds import RATE_HZ
from tests.integration.helpers import Plant

SCENE = scene(1.0, 7, n_noises=2, n_faults=1)
KEPT = ("kind", "onset_s", "offset_s", "score", "threshold", "sample_start", "sample_end", "severity")


@pytest.fixture(scope="module")
def hall(tmp_path_factory, small_bundle):
    """A device of two channels with both streams enrolled; near names far."""
    plant = Plant(tmp_path_factory.mktemp("hall"), small_bundle)
    sound = plant.directory / "sound.wav"
    soundfile.write(sound, SCENE.sound, RATE_HZ, subtype="FLOAT")
    clips = plant.directory / "clips"
    clips.mkdir()
    for seed in range(12):
        soundfile.write(clips / f"{seed}.wav", quiet(4.0, seed), RATE_HZ, subtype="FLOAT")
    monitors = {"anomaly": {"bundle": plant.bundle}}
    plant.settings["devices"]["a"] = {"source": "file", "path": str(sound), "speed": 0}
    plant.settings["streams"] = {
        "near": {"device": "a", "channel": 0, "monitors": monitors, "reference_stream": "far"},
        "far": {"device": "a", "channel": 1, "monitors": monitors},
    }
    plant.settings["exit_when_done"] = True
    for stream, channel in (("near", 0), ("far", 1)):
        plant.enroll(stream, clips, channel=channel)
    return plant


def judge(plant, steps, *, is_linked=True, without_far=False):
    """Scores and detections near the machine."""
    assembly = Assembly(plant.config)
    with BankStore(plant.config.state_path) as store:
        near, far = (assembly.monitor(store, name, "anomaly") for name in ("near", "far"))
    if without_far:
        far.use_bank(None)
    if is_linked:
        assembly.link_references({"near": [near], "far": [far]})
    pairs = ([(far, one), (near, other)] for other, one in steps)
    heard = [outcome for monitor, outcome in judge_together(pairs, [far, near], assembly) if monitor is near]
    return [s for o in heard for s in o.scored], [d for o in heard for d in o.detections]


def cut(edges):
    """Both channels in the same blocks."""
    return [
        tuple(Block(a, np.ascontiguousarray(SCENE.sound[a:b, channel])) for channel in (0, 1))
        for a, b in itertools.pairwise([0, *edges, len(SCENE.sound)])
    ]


def onsets(detections):
    return [d.onset_sample / RATE_HZ for d in detections if d.kind == "onset"]


def test_noises_of_the_hall_are_discounted_and_faults_are_found(hall):
    _, alone = judge(hall, cut([]), is_linked=False)
    scored, found = judge(hall, cut([]))
    assert len(onsets(alone)) == 3
    assert len(onsets(found)) == 1
    for fault, onset_s in zip(SCENE.faults, onsets(found), strict=True):
        assert fault.start_s - 1.0 < onset_s < fault.end_s
    noise = SCENE.noises[0]
    during = [s for s in scored if noise.meets(s.sample_start / RATE_HZ, s.sample_end / RATE_HZ, slack_s=-2.0)]
    assert during
    assert all(s.discount > s.threshold for s in during)


def test_any_cutting_of_both_channels_gives_the_same(hall):
    rng = np.random.default_rng(0)
    expected = judge(hall, cut([]))
    for n_cuts in (3, 200):
        assert judge(hall, cut(np.unique(rng.integers(1, len(SCENE.sound), n_cuts)).tolist())) == expected


def test_without_a_far_score_nothing_is_discounted(hall):
    """Not enrolled, or its input is no sound."""
    alone = judge(hall, cut([]), is_linked=False)
    assert judge(hall, cut([]), without_far=True) == alone
    torn = [(near, Block(far.sample, 0 * far.samples)) for near, far in cut([])]
    assert judge(hall, torn) == alone


def test_a_gap_in_the_hall_only_costs_what_it_covers(hall):
    """The far stream's segments lie elsewhere after it; the noise after it is discounted all the same."""
    near, far = cut([])[0]
    first, second = far.samples[: 5 * RATE_HZ], far.samples[5 * RATE_HZ + 1234 :]
    blocks = [Block(0, first), Block(5 * RATE_HZ + 1234, second, lost_before=1234)]
    steps = [(Block(0, near.samples[: 5 * RATE_HZ]), blocks[0])]
    steps += [(Block(5 * RATE_HZ, near.samples[5 * RATE_HZ :]), blocks[1])]
    _, found = judge(hall, steps)
    assert len(onsets(found)) == 1


def test_the_daemon_and_edged_score_say_the_same(hall):
    found = judge(hall, cut([]))[1]
    expected = [tuple(event_fields(Path(), "anomaly", detection)[key] for key in KEPT) for detection in found]
    assert expected
    with hall.daemon() as process:
        assert process.wait(120) == 0, (hall.directory / "log").read_text()
    live = [event for event in hall.journal() if event["stream"] == "near" and event["monitor"] == "anomaly"]
    assert [tuple(event[key] for key in KEPT) for event in live] == expected
    lines = hall.call("score", "--stream", "near", "--events", "--jsonl", hall.directory / "sound.wav").splitlines()
    assert [tuple(json.loads(line)[key] for key in KEPT) for line in lines] == expected


def test_a_file_without_the_reference_channel_is_scored_without_it(hall):
    soundfile.write(hall.directory / "mono.wav", SCENE.sound[:, 0], RATE_HZ, subtype="FLOAT")
    done = hall.run("score", "--stream", "near", "--events", "--jsonl", hall.directory / "mono.wav")
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if b'"onset"' in line]) == 3
    assert b"nothing is discounted" in done.stderr


def test_references_come_first_whatever_the_order_in_the_file(hall):
    assert Config.model_validate(hall.settings).streams_references_first == ["far", "near"]
