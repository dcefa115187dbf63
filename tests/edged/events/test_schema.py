import json

import pytest
from pydantic import ValidationError

from edged.events.schema import SCHEMA_DIR, AnomalyEvent, KeywordEvent, json_schemas, parse_event

FIELDS = {
    "boot": "b", "time": "2026-01-31T13:00:00.000Z", "stream": "press-3", "sample_start": 0, "sample_end": 160000,
    "onset_s": 4.0, "score": 1.4, "threshold": 1.0, "bundle": {"id": "anomaly", "digest": "d"}, "bank": 3,
}  # fmt: skip


def test_the_shipped_json_schemas_are_up_to_date():
    """Run `python -m edged.events.schema` after changing an event."""
    shipped = {path.name: path.read_text(encoding="utf-8") for path in SCHEMA_DIR.glob("*.json")}
    assert shipped == json_schemas()


def test_an_event_has_the_fields_of_the_contract_and_comes_back_as_it_was():
    event = AnomalyEvent(kind="onset", domain="source", **FIELDS)
    facts = json.loads(event.to_json())
    contract = "schema id seq boot epoch stream monitor kind time sample_start sample_end onset_s offset_s score"
    assert set(contract.split()) | {"threshold", "bundle", "bank", "domain", "lost_samples", "clip"} <= set(facts)
    assert facts["schema"] == 1
    assert parse_event(event.to_json()) == event


def test_topics():
    assert AnomalyEvent(kind="onset", **FIELDS).topic == "anomaly.press-3"
    assert KeywordEvent(keyword="stop", **FIELDS).topic == "keyword.press-3.stop"


@pytest.mark.parametrize("change", [{"score": float("nan")}, {"kind": "bang"}, {"colour": "red"}, {"sample_start": -1}])
def test_what_is_no_event_is_refused(change):
    with pytest.raises(ValidationError):
        AnomalyEvent(**({"kind": "onset"} | FIELDS | change))
