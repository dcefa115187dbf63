"""Scores to detections: severity rises with time, and drift and alarms keep out of each other's way."""

from edged.decide.anomaly import AnomalyDecider
from edged.decide.drift import DriftSettings
from edged.decide.hysteresis import HysteresisSettings
from edged.decide.normal import NormalScores
from edged.flow import Scored

HOP, SEGMENT = 40_960, 160_000
RULE = HysteresisSettings(onset_count=2, onset_window=3, clear_count=3, release=0.2, update_every=23)
DRIFT = DriftSettings(block_segments=3, window_blocks=4, onset_spreads=2.0)


def scored(number, score, domain="source"):
    return Scored(number * HOP, number * HOP + SEGMENT, score, 5.0, domain)


def run(scores, decider=None, domains=None):
    decider = decider or AnomalyDecider(RULE, DRIFT)
    domains = domains or ["source"] * len(scores)
    return [
        detection
        for i, (score, domain) in enumerate(zip(scores, domains, strict=True))
        for detection in decider.push(scored(i, score, domain), 3, 7)
    ]


def test_severity_rises_from_onset_over_updates_and_counts_until_the_offset():
    found = run([0.0] * 3 + [6.0] * 300 + [0.0] * 3)
    kinds = [(d.kind, d.severity) for d in found]
    assert kinds[0] == ("onset", "low")
    assert kinds[-1] == ("cleared", "medium")
    assert {kind for kind, _ in kinds[1:-1]} == {"update"}
    first_medium = next(d for d in found if d.severity == "medium")
    assert first_medium.sample_end - first_medium.onset_sample >= 600 * 16000
    assert all(d.sample_end - d.onset_sample < 600 * 16000 for d in found if d.severity == "low")


def test_one_high_peak_stays_the_severity():
    found = run([20.0, 20.0] + [6.0] * 30 + [0.0] * 3)
    assert [(d.kind, d.severity) for d in found] == [("onset", "high"), ("update", "high"), ("cleared", "high")]
    assert {d.details["peak_score"] for d in found} == {20.0}


def test_severity_and_release_count_from_the_typical_normal_score():
    decider = AnomalyDecider(RULE, None)
    decider.use_normal(NormalScores(typical=4.0, spread=0.2))
    found = run([6.0, 6.0] + [4.81] * 10 + [4.79] * 3, decider)
    assert [(d.kind, d.severity) for d in found] == [("onset", "medium"), ("cleared", "medium")]
    assert found[1].offset_sample == 11 * HOP + SEGMENT


def test_drift_says_where_it_stands_and_which_domain():
    found = run([2.5] * 12 + [0.0] * 12, domains=["source"] * 4 + ["night"] * 20)
    assert [(d.kind, d.details["state"], d.domain, d.severity) for d in found] == [
        ("drift", "set in", "night", None), ("drift", "gone", "night", None),
    ]  # fmt: skip
    set_in, gone = found
    assert (set_in.score, set_in.threshold, set_in.details["spreads"]) == (2.5, 2.0, 2.5)
    assert (set_in.onset_sample, set_in.offset_sample, set_in.epoch, set_in.bank_version) == (0, None, 3, 7)
    assert gone.offset_sample == 11 * HOP + SEGMENT


def test_what_is_heard_during_an_alarm_is_no_drift():
    assert [d.kind for d in run([0.0] * 20 + [50.0] * 22 + [0.0] * 20)] == ["onset", "cleared"]


def test_new_references_end_a_drift_with_the_next_segment():
    decider = AnomalyDecider(RULE, DRIFT)
    run([2.5] * 12, decider)
    decider.use_normal(NormalScores(typical=2.5, spread=1.0))
    (gone,) = decider.push(scored(12, 2.5), 0, 8)
    assert (gone.kind, gone.details["state"], gone.bank_version) == ("drift", "gone", 8)
    assert decider.push(scored(13, 2.5), 0, 8) == ()


def test_without_drift_settings_there_is_none():
    assert run([2.5] * 1000, AnomalyDecider(RULE, None)) == []


def test_without_references_a_lasting_alarm_is_cleared_with_the_reason():
    decider = AnomalyDecider(RULE, DRIFT)
    onset = run([0.0] * 3 + [6.0] * 4, decider)[-1]
    (cleared,) = decider.end("references removed")
    assert (onset.kind, cleared.kind) == ("onset", "cleared")
    assert (cleared.onset_sample, cleared.offset_sample) == (onset.onset_sample, 6 * HOP + SEGMENT)
    assert cleared.details == {"peak_score": 6.0, "reason": "references removed"}
    assert (cleared.epoch, cleared.bank_version, cleared.score) == (3, 7, 6.0)
    assert decider.end("references removed") == ()
    assert run([6.0], decider) == []  # what was above the threshold before is forgotten


def test_without_references_a_lasting_drift_is_over():
    decider = AnomalyDecider(RULE, DRIFT)
    assert [d.details["state"] for d in run([2.5] * 12, decider)] == ["set in"]
    (gone,) = decider.end("references removed")
    assert (gone.kind, gone.details["state"], gone.details["reason"]) == ("drift", "gone", "references removed")
    assert AnomalyDecider(RULE, DRIFT).end("nothing was heard") == ()
