"""Which threshold judges, and that found ones are found again."""

import sqlite3

import pytest

from edged.assembly import Assembly
from edged.config import AnomalySettings
from edged.configfile import parse_config
from edged.errors import StateError
from edged.references.thresholds import FoundThresholds, ThresholdChoice, ThresholdStore, threshold_settings
from edged.state import DATABASE_NAME

BUDGET = AnomalySettings(false_alarms_per_day=0.5)
FOUND = FoundThresholds(3, 0.5, 0.9, 5.0, {"hot": 6.0})


def choice(settings=BUDGET, bank=3, found=FOUND):
    return ThresholdChoice(settings, bank, 4.5, found)


def test_found_thresholds_survive_a_restart(tmp_path):
    with ThresholdStore(tmp_path) as store:
        assert store.load("pump", "anomaly") is None
        store.save("pump", "anomaly", FoundThresholds(1, 1.0, 0.9, 4.0))
        store.save("pump", "anomaly", FOUND)
    with ThresholdStore(tmp_path) as store:
        assert store.load("pump", "anomaly") == FOUND
        assert store.load("fan", "anomaly") is None


def test_damaged_facts_are_refused(tmp_path):
    with ThresholdStore(tmp_path) as store:
        store.save("pump", "anomaly", FOUND)
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("UPDATE found_thresholds SET facts = '{\"bank\": 1}'")
    with ThresholdStore(tmp_path) as store, pytest.raises(StateError, match="pump"):
        store.load("pump", "anomaly")


def test_damaged_thresholds_do_not_cost_the_references(tmp_path):
    """`edged score` failed, and the daemon said that the references could not be used."""
    with ThresholdStore(tmp_path) as store:
        store.save("pump", "anomaly", FOUND)
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("UPDATE found_thresholds SET facts = '{\"bank\": 1}'")
    assembly = Assembly(parse_config({"state_dir": str(tmp_path)}, "test"))
    assert assembly.found_thresholds("pump", "anomaly") is None


def test_thresholds_that_cannot_be_opened_do_not_cost_the_references(tmp_path, monkeypatch):
    # only what was refused while reading counted as none
    def refuse(_connection):
        raise StateError("disk full")

    monkeypatch.setattr("edged.state.transaction", refuse)
    with pytest.raises(StateError):
        ThresholdStore(tmp_path)
    assembly = Assembly(parse_config({"state_dir": str(tmp_path)}, "test"))
    assert assembly.found_thresholds("pump", "anomaly") is None


def test_found_thresholds_judge_each_domain_by_its_own():
    assert (choice().of("hot"), choice().of("cold"), choice().of()) == (6.0, 5.0, 5.0)


@pytest.mark.parametrize(
    "other",
    [
        choice(bank=4),
        choice(AnomalySettings(false_alarms_per_day=1.0)),
        choice(AnomalySettings(false_alarms_per_day=0.5, false_alarm_confidence=0.8)),
        choice(AnomalySettings()),
        choice(found=None),
    ],
)
def test_what_was_found_for_another_bank_or_budget_does_not_count(other):
    assert other.applicable is None
    assert other.of("hot") == 4.5


def test_a_configured_threshold_stands_above_all():
    assert choice(AnomalySettings(threshold=9.0)).of("hot") == 9.0


def test_only_what_concerns_the_threshold_changes_while_a_monitor_runs():
    changed = AnomalySettings(false_alarms_per_day=2.0, onset_segments=1)
    assert set(threshold_settings(changed)) == {
        "threshold", "threshold_method", "false_alarms_per_day", "false_alarm_confidence",
    }  # fmt: skip
