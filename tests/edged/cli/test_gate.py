"""`edged enroll` and `edged feedback` as they are typed: tables for people, JSON for programs, exit codes for both."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf

from edged.cli.gate import figures, rate_text
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.fakes.sounds import RATE_HZ, machine


@pytest.fixture
def clips(tmp_path):
    for name, n_faults in (("good", 0), ("mixed", 1)):
        (tmp_path / name).mkdir()
        for seed in range(8):
            sf.write(tmp_path / name / f"{seed}.wav", machine(10, seed, fault=seed < n_faults), RATE_HZ)
    return tmp_path


def test_a_dry_run_shows_the_table_and_changes_nothing(edged, clips):  # noqa: F811
    command = ("enroll", "--clips", clips / "good", "--stream", "new", "--state", clips / "state")
    shown = edged(*command, "--dry-run")
    assert shown.code == 0
    for words in ("score without it", "7.wav", "false alarms to be expected:", "a day", "8 enrolled clips",
                  "8 clips would be added as 'source' (8 in all)", "nothing changed"):  # fmt: skip
        assert words in shown.out
    report = edged(*command, "--dry-run", "--json").json
    assert (report["version"], report["dry_run"], report["accepted"]) == (0, True, True)
    assert edged("references", "--stream", "new", "--state", clips / "state").code == 1
    assert "8 clips added as 'source' (8 in all), version 1" in edged(*command).out


def test_a_doubtful_set_needs_force_and_is_shown_either_way(edged, clips):  # noqa: F811
    command = ("enroll", "--clips", clips / "mixed", "--stream", "new", "--state", clips / "state")
    refused = edged(*command)
    assert refused.code == 1
    assert "doubtful" in refused.out
    assert "nothing enrolled" in refused.out
    assert "0.wav: an outlier" in refused.err
    assert "--force enrols it all the same" in refused.err
    dry = edged(*command, "--dry-run")
    assert (dry.code, "0.wav: an outlier" in dry.err) == (1, True)
    for more in ((), ("--dry-run",)):
        report = edged(*command, "--json", *more)
        assert (report.code, report.json["accepted"]) == (1, False)
        assert [clip["name"] for clip in report.json["clips"] if clip["verdict"] == "doubtful"] == ["0.wav"]
    assert edged(*command, "--force").code == 0


def test_a_refused_clip_is_shown_as_such(edged, clips):  # noqa: F811
    sf.write(clips / "good" / "zz.wav", np.zeros(RATE_HZ * 2), RATE_HZ)
    refused = edged("enroll", "--clips", clips / "good", "--stream", "new", "--state", clips / "state")
    assert refused.code == 1
    assert "refused" in refused.out
    assert "zz.wav: silent" in refused.err


def test_a_clip_of_another_word_is_left_out_and_shown_and_the_word_is_enrolled(edged, tmp_path):  # noqa: F811
    (tmp_path / "clips").mkdir()
    for name in (*ENROLMENT_CLIPS, "forklift-1"):
        sf.write(tmp_path / "clips" / f"{name}.wav", np.pad(0.05 * spoken_clip(name), 4000), RATE_HZ, subtype="FLOAT")
    sf.write(tmp_path / "clips" / "dead.wav", np.zeros(RATE_HZ), RATE_HZ)
    command = ("enroll", "--clips", tmp_path / "clips", "--stream", "hall", "--keyword", "maintenance")
    command = (*command, "--state", tmp_path / "state")
    dry = edged(*command, "--dry-run")
    assert (dry.code, "3 clips would be added as 'maintenance' (3 in all, 2 left out)" in dry.out) == (0, True)
    report = edged(*command, "--dry-run", "--json").json
    expected = {"forklift-1.wav": "left out", str(tmp_path / "clips" / "dead.wav"): "refused"}
    assert {clip["name"]: clip["verdict"] for clip in report["left_out"]} == expected
    done = edged(*command)
    assert (done.code, "3 clips added as 'maintenance' (3 in all, 2 left out), version 1" in done.out) == (0, True)
    row = next(line for line in done.out.splitlines() if "forklift-1.wav" in line)
    assert "left out" in row
    assert "the odd one out" in row


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["feedback", "b-1", "odd"], 2, "neither of normal, anomaly"),
        (["feedback", "b-1", "anomaly", "--domain", "d"], 2, "an anomaly belongs to none"),
        (["feedback", "b-1", "normal"], 1, "no event 'b-1'"),
        (["enroll", "--event", "b-1"], 1, "no event 'b-1'"),
        (["enroll", "--event", "b-1", "--clips", "."], 2, "name clips"),
        (["enroll", "--event", "b-1", "--keyword", "go"], 2, "--keyword needs clips"),
    ],
)
def test_exit_codes(arguments, code, words, edged, tmp_path):  # noqa: F811
    result = edged(*arguments, "--state", tmp_path)
    assert (result.code, words in result.err) == (code, True)


def test_figures_read_well():
    alarms = {"per_day": 0.52, "low_per_day": 0.1, "high_per_day": 2.04, "heard_h": 36.2, "rests_on": "what was heard"}
    assert rate_text(alarms) == "0.52 a day (0.1 to 2.04, 90 %), from 36 h: what was heard"
    assert rate_text(alarms | {"high_per_day": None, "heard_h": 0.05}).startswith(
        "0.52 a day (0.1 to ?, 90 %), from 3 min"
    )
    assert rate_text(alarms | {"per_day": None, "heard_h": 0.0}) == "unknown, nothing was heard yet"
    few = alarms | {"per_day": None, "heard_h": 0.014, "high_per_day": 3290.0}
    expected = "up to 3.29e+03 a day (90 %): 1 min say too little, ten clips say more; what was heard"
    assert rate_text(few) == expected
    overlap = {"share_below": 0.25, "nearest": "source", "distance": 2.345}
    lines = figures({"overlap": overlap, "strength_factor": 1.2, "threshold": 4.0, "threshold_before": 3.5})
    assert lines == [
        "overlap: 25% of the clips were normal already; nearest to 'source', at 2.3 times its threshold",
        "old sound: a fault must be 1.20 times as strong as before to be noticed",
        "threshold: 4.00 (before: 3.50)",
    ]


def test_references_show_reads_json_too(edged, clips):  # noqa: F811
    edged("enroll", "--clips", clips / "good", "--stream", "new", "--state", clips / "state")
    shown = json.loads(edged("references", "show", "--state", clips / "state", "--json").out)
    assert shown["monitors"]["anomaly"]["anomalies"] == []
