"""What an operator says of an event changes the bank in one version, holds from then on, and can be taken back."""

from dataclasses import replace

import numpy as np
import pytest

from edged.config import ClipsSettings
from edged.errors import EnrolmentError, StateError, UsageError
from edged.events.clips import ClipFolder, ClipOrigin
from edged.events.journal import Journal
from edged.events.schema import AnomalyEvent, BundleRef, KeywordEvent
from edged.references import anomaly, labelled
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.enroll import Terms, anomaly_bank, enroll_domain, enroll_events
from edged.references.feedback import give_feedback
from edged.references.history import ScoreHistory, Stretch
from edged.references.labelled import clip_means, just_below, labelled_of_store, separation
from edged.references.overview import overview
from tests.fakes.sounds import machine


def load(seed: int, seconds: float = 6.0) -> np.ndarray:
    """The machine under load: normal, but new."""
    t = np.arange(round(seconds * 16000)) / 16000
    return machine(seconds, seed) + (0.02 * np.sin(2 * np.pi * 1300 * t)).astype(np.float32)


SOUNDS = {
    1: machine(6, 900, fault=True),
    2: load(901),
    3: machine(6, 902, fault=True),
    4: load(903),
    5: np.zeros(96_000, np.float32),
    6: machine(6, 905),  # as normal as what is enrolled
}


def event(number: int, **facts):
    fields = {
        "boot": "b", "time": "t", "stream": "fan", "sample_start": 0, "sample_end": 1, "onset_s": 0.0, "score": 2.0,
        "threshold": 1.0, "bundle": BundleRef(id="a", digest="d"), "bank": 1, "clip": f"fan/{number}.flac",
        "seq": number, "id": f"b-{number}",
    }  # fmt: skip
    return fields | facts


@pytest.fixture
def heard(quick, quick_store):
    """Ten enrolled clips, and events whose sound was kept."""
    state = quick.config.state_path
    normal = [clip_of_samples(f"{s}.wav", machine(4, s), ANOMALY_CLIPS) for s in range(10)]
    enroll_domain(quick, quick_store, "fan", normal)
    folder = ClipFolder(state, ClipsSettings(keep_free_mib=0))
    for number, samples in SOUNDS.items():
        folder.write(f"fan/{number}.flac", samples, ClipOrigin("fan", "anomaly", "b", 0, 0))
    events = [(AnomalyEvent(kind="onset", **event(number)), 0) for number in SOUNDS]
    events.append((AnomalyEvent(kind="onset", **event(7, clip=None)), 0))
    events.append((KeywordEvent(keyword="stop", **event(8)), 0))
    events.append((AnomalyEvent(kind="cleared", **event(9, clip="fan/1.flac")), 0))
    journal = Journal(state, 100)
    journal.append(events)
    journal.close()
    return quick, quick_store


def score(heard, samples) -> tuple[float, float]:
    """Median score and threshold of the active bank."""
    assembly, store = heard
    from edged.references.embedding import embed_clip
    from edged.references.gate import stacked

    bank, bundle = anomaly_bank(assembly, store, "fan"), assembly.bundle("fan", "anomaly")
    vectors = stacked(embed_clip(samples, bundle, assembly.embedder(bundle)))
    return float(np.median(bank.scorer.scores(vectors))), bank.threshold


def test_normal_enrols_the_events_sound_and_a_roll_back_takes_it_back(heard):
    before = score(heard, SOUNDS[4])
    report = give_feedback(*heard, "b-2", "normal")
    assert (report["label"], report["version"], report["added_clips"]) == ("target", 2, 1)
    assert (report["event"], report["verdict"]) == ("b-2", "normal")
    assert score(heard, SOUNDS[4])[0] < before[0]
    bank = anomaly_bank(*heard, "fan")
    assert (bank.clips[-1].event, bank.clips[-1].label) == ("b-2", "target")
    assert heard[1].versions("fan", "anomaly")[0].reason == "feedback: event b-2 was normal"
    heard[1].rollback("fan", "anomaly")
    assert score(heard, SOUNDS[4]) == before


def test_an_anomaly_keeps_the_threshold_below_it_and_its_like_out(heard):
    old = anomaly_bank(*heard, "fan")
    report = give_feedback(*heard, "b-1", "anomaly")
    assert (report["version"], report["is_respected"], report["false_alarms_if_forced"]) == (2, True, None)
    bank = anomaly_bank(*heard, "fan")
    (one,) = bank.labelled
    assert (one.event_id, one.insists) == ("b-1", False)
    assert bank.threshold == min(old.threshold, bank.ceiling) < one.score(bank.scorer) == report["score"]
    with pytest.raises(EnrolmentError, match="labelled at event b-1"):
        give_feedback(*heard, "b-3", "normal", force=True)
    with pytest.raises(EnrolmentError, match="labelled at event b-1"):
        give_feedback(*heard, "b-1", "normal", force=True)
    give_feedback(*heard, "b-2", "normal")  # another sound is welcome
    assert [one.event_id for one in anomaly_bank(*heard, "fan").labelled] == ["b-1"]
    for _ in range(2):
        heard[1].rollback("fan", "anomaly")
    assert anomaly_bank(*heard, "fan").labelled == ()
    assert give_feedback(*heard, "b-3", "normal", dry_run=True, force=True)["accepted"]


def test_a_threshold_above_the_anomaly_is_lowered_to_just_below_it(heard, monkeypatch):
    monkeypatch.setattr(anomaly, "alarm_threshold", lambda *_, **__: 1e6)
    report = give_feedback(*heard, "b-1", "anomaly")
    assert report["threshold"] == just_below(report["score"]) < report["score"] < 1e6
    assert anomaly_bank(*heard, "fan").threshold == report["threshold"]
    assert report["false_alarms"]["threshold"] == report["threshold"]
    enroll_domain(*heard, "fan", [clip_of_samples("x", machine(4, 50), ANOMALY_CLIPS)], domain="night")
    bank = anomaly_bank(*heard, "fan")
    assert bank.threshold == bank.ceiling == just_below(bank.labelled[0].score(bank.scorer)) < 1e6


def test_what_cannot_be_told_from_normal_sound_costs_false_alarms_and_that_is_said(heard):
    before = anomaly_bank(*heard, "fan").threshold
    report = give_feedback(*heard, "b-6", "anomaly", dry_run=True)
    assert (report["is_respected"], report["threshold"]) == (False, before)
    assert "cannot be told from normal sound" in report["notes"][0]
    assert report["false_alarms_if_forced"]["per_day"] > report["false_alarms"]["per_day"]
    assert heard[1].active_version("fan", "anomaly") == 1
    forced = give_feedback(*heard, "b-6", "anomaly", force=True)
    assert forced["threshold"] < forced["score"] < before
    bank = anomaly_bank(*heard, "fan")
    assert (bank.labelled[0].insists, bank.inseparable) == (True, ())


def test_a_dry_run_changes_nothing(heard):
    for verdict in ("normal", "anomaly"):
        report = give_feedback(*heard, "b-2", verdict, dry_run=True, force=True)
        assert (report["dry_run"], report["accepted"], report["version"]) == (True, True, 1)
    assert len(heard[1].versions("fan", "anomaly")) == 1


def test_what_is_enrolled_as_normal_is_not_called_an_anomaly_before_that_is_undone(heard):
    give_feedback(*heard, "b-2", "normal", domain="load")
    with pytest.raises(EnrolmentError, match=r"enrolled as normal sound of domain 'load' .* rollback"):
        give_feedback(*heard, "b-2", "anomaly", force=True)
    heard[1].rollback("fan", "anomaly")
    assert give_feedback(*heard, "b-2", "anomaly")["version"] == 3


def test_the_same_sound_is_kept_once_whichever_event_of_its_alarm_is_named(heard):
    give_feedback(*heard, "b-1", "anomaly")
    give_feedback(*heard, "b-9", "anomaly")
    assert [one.event_id for one in anomaly_bank(*heard, "fan").labelled] == ["b-9"]


def test_to_say_it_twice_changes_nothing(heard):
    """Every repetition made a version, until the ones worth a roll-back were forgotten."""
    give_feedback(*heard, "b-1", "anomaly")
    again = give_feedback(*heard, "b-1", "anomaly")
    assert (again["version"], heard[1].active_version("fan", "anomaly")) == (2, 2)
    assert "labelled as an anomaly already" in again["notes"][0]
    assert give_feedback(*heard, "b-1", "anomaly", force=True)["version"] == 3  # to insist is something new
    give_feedback(*heard, "b-2", "normal")
    with pytest.raises(EnrolmentError, match=r"already, as 'target' of stream 'fan'; .* rollback"):
        give_feedback(*heard, "b-2", "normal")
    with pytest.raises(EnrolmentError, match="take the label back with"):
        give_feedback(*heard, "b-3", "normal")


def test_labels_are_bounded_and_none_is_dropped(heard, monkeypatch):
    monkeypatch.setattr(labelled, "MAX_LABELLED", 1)
    give_feedback(*heard, "b-1", "anomaly")
    with pytest.raises(EnrolmentError, match="1 anomalies are labelled already"):
        give_feedback(*heard, "b-3", "anomaly")


def test_the_daemons_own_scores_tell_the_false_alarms_as_the_scorer_stays(heard):
    scores = np.random.default_rng(0).normal(0.0, 1.0, 2000).astype(np.float32)
    with ScoreHistory(heard[0].config.state_path) as history:
        history.append("fan", "anomaly", 1, [Stretch("source", 0, scores, 1e9)], now_ns=1)
    report = give_feedback(*heard, "b-1", "anomaly", dry_run=True)
    assert report["false_alarms"]["rests_on"] == "scores the daemon heard"
    assert report["false_alarms"]["heard_h"] == pytest.approx(2000 * 8192 / 16000 / 3600, rel=0.01)


@pytest.mark.parametrize(
    ("event_id", "verdict", "error", "words"),
    [
        ("b-99", "normal", EnrolmentError, "no event 'b-99' in the journal"),
        ("b-7", "normal", EnrolmentError, "no sound of it is kept"),
        ("b-8", "anomaly", UsageError, "is no anomaly but of the keyword"),
        ("b-5", "normal", EnrolmentError, "silent"),
        ("b-5", "anomaly", EnrolmentError, "silent"),
        ("../../etc/passwd", "anomaly", EnrolmentError, "no event"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(heard, event_id, verdict, error, words):
    with pytest.raises(error, match=words):
        give_feedback(*heard, event_id, verdict)
    assert heard[1].active_version("fan", "anomaly") == 1


def test_without_references_there_is_nothing_to_teach(heard):
    heard[1].remove("fan", "anomaly")
    with pytest.raises(StateError, match="nothing is enrolled"):
        give_feedback(*heard, "b-1", "anomaly")


def test_several_events_are_enrolled_as_a_domain(heard):
    report = enroll_events(*heard, None, ["b-2", "b-4", "b-2"], domain="load")
    assert (report["stream"], report["label"], report["added_clips"]) == ("fan", "load", 2)
    assert [clip["name"] for clip in report["clips"]] == ["event b-2", "event b-4"]
    with pytest.raises(EnrolmentError, match="already"):
        enroll_events(*heard, "fan", ["b-4"])
    with pytest.raises(UsageError, match="of stream 'fan', not of 'pump'"):
        enroll_events(*heard, "pump", ["b-1"])


def test_a_set_that_would_make_an_anomaly_pass_is_refused_even_where_no_clip_resembles_it(heard, monkeypatch):
    from edged.references import gate_labelled

    give_feedback(*heard, "b-1", "anomaly")
    monkeypatch.setattr(gate_labelled, "LIKE", 0.0)
    faults = [clip_of_samples(f"{s}", machine(4, s, fault=True), ANOMALY_CLIPS) for s in range(70, 76)]
    with pytest.raises(EnrolmentError, match="the anomaly labelled at event b-1 would pass for normal"):
        enroll_domain(*heard, "fan", faults, domain="odd", terms=Terms(force=True))


def test_a_bank_with_labels_is_stored_bit_for_bit(heard):
    give_feedback(*heard, "b-1", "anomaly")
    give_feedback(*heard, "b-3", "anomaly", force=True)
    stored = heard[1].load_active("fan", "anomaly")
    bank = anomaly_bank(*heard, "fan")
    facts, arrays = anomaly.bank_to_store(bank, heard[0].bundle("fan", "anomaly"))
    assert facts == stored.facts
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in stored.arrays.items()
    }


def test_a_bank_stored_before_there_were_labels_still_loads(heard):
    stored = heard[1].load_active("fan", "anomaly")
    new = ("labelled", "ceiling", "inseparable")
    facts = {name: value for name, value in stored.facts.items() if name not in new}
    facts["clips"] = [{k: v for k, v in clip.items() if k not in ("band_edge_hz", "event")} for clip in facts["clips"]]
    heard[1].commit("fan", "anomaly", facts, stored.arrays, reason="old", based_on=1)
    bank = anomaly_bank(*heard, "fan")
    assert (bank.labelled, bank.ceiling, bank.inseparable, bank.clips[0].band_edge_hz) == ((), None, (), None)
    assert give_feedback(*heard, "b-2", "normal")["version"] == 3


def test_damaged_labels_are_noticed(heard):
    give_feedback(*heard, "b-1", "anomaly")
    stored = heard[1].load_active("fan", "anomaly")
    arrays = {name: rows[:-1] if name.startswith("labelled/") else rows for name, rows in stored.arrays.items()}
    with pytest.raises(StateError, match="labelled anomalies are damaged"):
        labelled_of_store(stored.facts["labelled"], arrays)


def test_the_overview_shows_labels(heard):
    give_feedback(*heard, "b-1", "anomaly")
    shown = overview(heard[1], "fan")["monitors"]["anomaly"]["anomalies"]
    assert [(one["event_id"], one["is_respected"]) for one in shown] == [("b-1", True)]


def test_separation_against_arithmetic(heard):
    give_feedback(*heard, "b-1", "anomaly")
    bank = anomaly_bank(*heard, "fan")
    (one,) = bank.labelled
    rows = bank.references["statistics"].clips
    means = [np.nanmean(bank.scorer.normal_scores[rows == clip]) for clip in np.unique(rows)]
    assert clip_means(bank.scorer.normal_scores, rows) == pytest.approx(means)
    assert separation(bank.scorer, (one,), rows).ceiling == just_below(one.score(bank.scorer)) > max(means)
    weak = replace(one, vectors={n: set_.vectors[:3] for n, set_ in bank.references.items()})
    assert separation(bank.scorer, (weak,), rows) == labelled.Separation(None, ("b-1",))
