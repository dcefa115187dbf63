from types import SimpleNamespace

from edged.clock import FakeClock, StreamClock
from edged.events.schema import parse_event
from edged.flow import Detection, Scored
from edged.runtime.messages import StatusChange, detection_event, score_event, status_event

CLOCK = FakeClock(wall_s=0.0)


def monitor(**options):
    bundle = SimpleNamespace(digest="d1", manifest=SimpleNamespace(id="anomaly"))
    return SimpleNamespace(stream="press-3", bundle=bundle, bank_version=4,
                           accounting=SimpleNamespace(lost=160), **options)  # fmt: skip


def stream_clock():
    clock = StreamClock(CLOCK, is_live=False)
    clock.arrived(0)
    return clock


def test_an_onset_carries_where_when_and_by_which_references():
    found = Detection("onset", 16000, 32000, 20000, None, 1.5, 1.0, domain="night", bank_version=4, details={"k": 1})
    event, wall_ns = detection_event(found, monitor(), stream_clock(), "boot")
    assert wall_ns == 2 * 10**9
    facts = event.fields()
    assert facts["time"] == "1970-01-01T00:00:02.000Z"
    assert (facts["onset_s"], facts["offset_s"], facts["lost_samples"], facts["bank"]) == (1.25, None, 160, 4)
    assert (event.topic, facts["bundle"], facts["details"]) == (
        "anomaly.press-3", {"id": "anomaly", "digest": "d1"}, {"k": 1},
    )  # fmt: skip


def test_a_keyword_carries_the_word_and_both_times():
    found = Detection("keyword", 0, 32000, 8000, 24000, -0.2, -0.5, keyword="stop")
    event, _ = detection_event(found, monitor(), stream_clock(), "boot")
    assert event.topic == "keyword.press-3.stop"
    assert (event.onset_s, event.offset_s) == (0.5, 1.5)


def test_scores_and_status():
    scored = score_event(Scored(0, 16000, 0.3, 1.0, "source"), monitor(), stream_clock(), "boot")
    assert (scored.topic, scored.score, scored.bank) == ("score.press-3", 0.3, 4)
    status = status_event(StatusChange("edged", "daemon", "ready"), 0, "boot")
    assert (status.topic, status.time) == ("status.edged", "1970-01-01T00:00:00.000Z")


def test_an_anomaly_is_graded_and_drift_is_a_kind_of_its_own():
    grave = Detection("update", 0, 32000, 8000, None, 9.0, 1.0, severity="high")
    event, _ = detection_event(grave, monitor(), stream_clock(), "boot")
    assert (event.kind, event.fields()["severity"]) == ("update", "high")
    drift = Detection("drift", 0, 32000, 8000, 24000, 2.0, 1.9, domain="night", details={"state": "gone"})
    event, _ = detection_event(drift, monitor(), stream_clock(), "boot")
    facts = parse_event(event.to_json()).fields()
    assert (event.topic, facts["kind"], facts["severity"], facts["offset_s"]) == ("anomaly.press-3", "drift", None, 1.5)


def test_telemetry_says_what_was_not_judged_and_what_was_discounted():
    scored = Scored(0, 16000, 9.0, 1.0, "source", input="deaf", discount=2.5)
    facts = score_event(scored, monitor(), stream_clock(), "boot").fields()
    assert (facts["input"], facts["discount"], scored.is_judged) == ("deaf", 2.5, False)
