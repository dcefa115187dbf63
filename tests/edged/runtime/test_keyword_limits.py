"""The keeper of words' limits on a real monitor and a real database; distances are made up, the clock is the test's."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.clock import FakeClock
from edged.config import Config, KeywordSettings
from edged.decide.near_misses import NearMisses
from edged.errors import StateError
from edged.flow import Embedding
from edged.references.bank import ClipRecord
from edged.references.keyword import KeywordBank, bank_to_store
from edged.references.keyword_history import NearMissHistory
from edged.references.store import BankStore
from edged.runtime import keyword_limits as module
from edged.runtime.keyword_limits import KeywordLimitKeeper
from edged.score.keyword import KeywordModel

DIM = 128
TIMEOUT_S = 20.0
BUDGET = {"false_alarms_per_hour": 0.5}
RNG = np.random.default_rng(0)


def template(seed):
    rows = np.random.default_rng(seed).standard_normal((30, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def near(hours=0.2, scale=0.1):
    distances = np.sort(np.exp(-RNG.exponential(scale, 60)))
    return NearMisses(hours, distances[:48], float(distances[48]))


class Site:
    """One stream with two words, heard by a keeper whose thread is the test's own unless it is started."""

    def __init__(self, directory, settings=BUDGET):
        self.directory = directory
        self.config = self.configured(settings)
        self.store = BankStore(directory)
        assembly = Assembly(self.config)
        if not self.store.active_version("hall", "keyword"):
            self.enrol(assembly)
        (self.monitor,) = assembly.configured_monitors(self.store, "hall", lambda *facts: pytest.fail(str(facts)))
        self.clock, self.told = FakeClock(), []
        self.stream = SimpleNamespace(name="hall", monitors=[self.monitor])
        self.keeper = KeywordLimitKeeper(
            directory, {"hall": self.stream}, between_segments=lambda act: act(), announce=self.told.append,
            clock=self.clock,
        )  # fmt: skip
        self.sample = 0

    def configured(self, settings):
        return Config.model_validate({
            "state_dir": str(self.directory),
            "devices": {"d": {"source": "file", "path": "a.wav"}},
            "streams": {"hall": {"device": "d", "monitors": {"keyword": settings}}},
        })  # fmt: skip

    def enrol(self, assembly, near_misses=True):
        templates = {"stop": [template(1)], "go": [template(2)]}
        model = KeywordModel.unmeasured(templates, 0.77)
        records = tuple(ClipRecord(w, w, w, 1.0, "2026-01-01T00:00:00Z") for w in templates)
        bank = KeywordBank(0, records, model.templates, model, near_misses=(near(), near()) if near_misses else ())
        facts, arrays = bank_to_store(bank, assembly.bundle("hall", "keyword"))
        self.store.commit("hall", "keyword", facts, arrays, reason="test", based_on=0)

    def hear(self, minutes):
        """So much sound in pieces of a minute, in which something now and then resembles a word somewhat."""
        n_frames = self.monitor.bundle.manifest.segment_samples // 256
        for _ in range(minutes):
            for _ in range(60 * 16_000 // (n_frames * 256)):
                rows = RNG.standard_normal((n_frames, DIM)).astype(np.float32)
                end = self.sample + n_frames * 256
                self.monitor.accept(Embedding(self.sample, end, {"speech": rows}))
                self.sample = end
            self.clock.advance(60.0)
            self.keeper.heard(self.stream, self.monitor)

    def found(self):
        self.keeper._write()
        self.keeper._find_all()
        return self.keeper.status("hall")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_every_words_limit_its_basis_and_its_false_alarms_are_shown(site):
    facts = site.found()
    assert list(facts["words"]) == ["stop", "go"]
    for word in facts["words"].values():
        rate = word["false_alarms_per_hour"]
        assert word["basis"] == "bundle's speech"
        assert -1.0 <= word["threshold"] < 0.0
        assert rate["low"] <= rate["expected"] <= rate["high"]
        assert (rate["budget"], rate["confidence"]) == (0.5, KeywordSettings().false_alarm_confidence)
    expected = [word["false_alarms_per_hour"]["expected"] for word in facts["words"].values()]
    assert facts["expected_per_hour"] == pytest.approx(sum(expected))
    assert [one.limit for one in site.monitor.limits] == [-w["threshold"] for w in facts["words"].values()]


def test_what_is_heard_is_remembered_and_counts(site):
    before = site.found()["words"]["stop"]
    site.hear(20)
    after = site.found()["words"]["stop"]
    assert after["heard_h"] == pytest.approx(before["heard_h"] + 20 / 60, rel=0.06)
    assert after["basis"] == "heard"
    assert Site(site.directory).found()["words"]["stop"]["heard_h"] == after["heard_h"]


def test_what_was_heard_last_is_stored_when_the_daemon_ends(site):
    site.keeper.start()
    site.hear(3)
    assert site.keeper.stop(TIMEOUT_S)
    with NearMissHistory(site.directory) as history:
        (part,) = history.parts("hall", site.monitor.bank.model.identity(0))
    assert part.hours == pytest.approx(3 / 60, rel=0.06)


def test_a_bank_from_before_says_what_is_missing(tmp_path):
    site = Site.__new__(Site)
    site.directory, site.store = tmp_path, BankStore(tmp_path)
    site.config = site.configured(BUDGET)
    site.enrol(Assembly(site.config), near_misses=False)
    site = Site(tmp_path)
    word = site.found()["words"]["stop"]
    assert (word["basis"], word["threshold"]) == ("not enough data yet", -0.77)
    assert word["needed_h"] > 0
    assert "more hours" in site.told[0].reason


def test_a_changed_budget_is_taken_while_it_runs(site):
    strict = site.found()["words"]["stop"]["threshold"]
    assert not site.keeper.use_settings("hall", site.monitor.settings)
    assert site.keeper.use_settings("hall", KeywordSettings(false_alarms_per_hour=20.0))
    assert site.found()["words"]["stop"]["threshold"] < strict
    assert site.monitor.settings.false_alarms_per_hour == 20.0
    assert site.keeper.use_settings("hall", KeywordSettings(thresholds={"go": -0.2}))
    assert {one.word: one.limit for one in (site.found(), site.monitor.limits)[1]} == {"stop": 0.77, "go": 0.2}
    assert not site.keeper.use_settings("yard", KeywordSettings())


def test_what_is_new_is_told_once(site):
    site.found()
    site.found()
    assert [change.subject for change in site.told] == ["threshold", "threshold"]


def test_a_disk_that_fails_costs_history_and_nothing_else(site, monkeypatch):
    class Broken:
        def __init__(self, _directory):
            raise StateError("disk full", fix="make room")

    site.hear(2)
    monkeypatch.setattr(module, "NearMissHistory", Broken)
    site.keeper._write()
    site.keeper._find_all()
    assert [change.state for change in site.told] == ["history lost"]
    assert site.monitor.limits[0].limit > 0


def test_limits_of_another_bank_are_not_taken(site):
    limits = site.monitor.limits
    site.monitor.use_limits([], site.monitor.settings, site.monitor.bank_version + 1)
    assert site.monitor.limits == limits


def test_words_that_stay_keep_the_limits_last_found(site):
    """For a while they were those of what had been heard when the daemon began, found anew while all streams waited."""
    found = [replace(one, limit=0.6) for one in site.monitor.limits]
    site.monitor.use_limits(found, site.monitor.settings, site.monitor.bank_version)
    model = KeywordModel.unmeasured({"stop": [template(1)], "new": [template(3)]}, 0.77)
    site.monitor.use_bank(KeywordBank(2, (), model.templates, model, near_misses=(near(), near())))
    assert [one.word for one in site.monitor.limits] == ["stop", "new"]
    assert site.monitor.limits[0].limit == 0.6 != site.monitor.limits[1].limit


def test_taking_and_writing_may_meet(site):
    """The worker hands over while the keeper writes: nothing is lost between them."""
    threads = [threading.Thread(target=site.keeper._write) for _ in range(4)]
    for thread in threads:
        site.hear(1)
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    site.keeper._write()
    with NearMissHistory(site.directory) as history:
        parts = history.parts("hall", site.monitor.bank.model.identity(0))
    assert sum(part.hours for part in parts) == pytest.approx(4 / 60, rel=0.06)


def test_what_was_heard_under_the_limits_before_is_kept(site):
    """It was replaced by what came after them."""
    site.hear(2)
    found = [replace(one, limit=0.9) for one in site.monitor.limits]
    site.monitor.use_limits(found, site.monitor.settings, site.monitor.bank_version)
    site.hear(2)
    site.keeper._write()
    with NearMissHistory(site.directory) as history:
        parts = history.parts("hall", site.monitor.bank.model.identity(0))
    assert {part.limit for part in parts} == {0.77, 0.9}
    assert sum(part.hours for part in parts) == pytest.approx(4 / 60, rel=0.06)
