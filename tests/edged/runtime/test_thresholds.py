"""The keeper on real monitors and a real database; scores are made up, the clock is the test's."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.clock import FakeClock, StreamClock
from edged.config import AnomalySettings, Config
from edged.embed.bundle import Manifest, RepresentationSpec, load_bundle, write_bundle
from edged.errors import DamagedError, StateError
from edged.features.anomaly import AnomalySpec
from edged.flow import Detection, Outcome, Scored
from edged.pipeline import AnomalyMonitor
from edged.references.anomaly import bank_to_store, fitted_bank
from edged.references.bank import ClipRecord
from edged.references.expectation import expected_alarms
from edged.references.history import ScoreHistory
from edged.references.store import BankStore
from edged.runtime import recorder as recorder_module
from edged.runtime import thresholds as module
from edged.runtime.thresholds import ThresholdKeeper
from edged.score.references import References

HOP = 40_960
HOUR = 1_406
BUDGET = AnomalySettings(false_alarms_per_day=2.0)
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = AnomalySpec(inputs=())
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=160_000, hop_samples=HOP,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return load_bundle(write_bundle(tmp_path_factory.mktemp("bundles") / "small", manifest).directory)


def enrolled(store, bundle, seed=0, n=12):
    """A bank of made-up vectors, stored as the next version."""
    vectors = np.random.default_rng(seed).standard_normal((n, 384)).astype(np.float32)
    records = tuple(ClipRecord(f"{seed}-{i}", f"{seed}-{i}", "source", 10.0, "2026-01-01T00:00:00Z") for i in range(n))
    references = {"statistics": References(vectors, ("source",) * n, np.arange(n) * 1000)}
    facts, arrays = bank_to_store(fitted_bank(bundle, records, references), bundle)
    return store.commit(
        "pump", "anomaly", facts, arrays, reason="test", based_on=store.active_version("pump", "anomaly")
    )


class Site:
    """One stream, heard by a keeper whose thread is the test's own unless it is started."""

    def __init__(self, directory, bundle, settings=BUDGET):
        monitors = {"anomaly": settings.model_copy(update={"bundle": str(bundle.directory)})}
        self.config = Config.model_validate({
            "state_dir": str(directory),
            "devices": {"d": {"source": "file", "path": "a.wav"}},
            "streams": {"pump": {"device": "d", "monitors": {k: v.model_dump() for k, v in monitors.items()}}},
        })  # fmt: skip
        self.store = BankStore(directory)
        if not self.store.active_version("pump", "anomaly"):
            enrolled(self.store, bundle)
        (self.monitor,) = Assembly(self.config).configured_monitors(self.store, "pump", self.unusable)
        self.clock = FakeClock()
        self.stream = SimpleNamespace(name="pump", monitors=[self.monitor], clock=StreamClock(self.clock, is_live=True))
        self.said, self.met = [], []
        self.announced = threading.Event()
        self.keeper = ThresholdKeeper(
            directory, {"pump": self.stream},
            between_segments=lambda action: action(), announce=self.announce, clock=self.clock,
            met_damage=self.met.append,
        )  # fmt: skip
        self.sample = 0

    def unusable(self, _, error):
        raise error

    def announce(self, change):
        self.said.append(change)
        self.announced.set()

    def hear(self, hours, seed=1, scale=1.0):
        latent = np.convolve(
            np.random.default_rng(seed).standard_normal(round(hours * HOUR) + 3), np.ones(4) / 2, "valid"
        )
        for score in scale * latent:
            self.segment(float(score))

    def segment(self, score, kind=None):
        start, end = self.sample, self.sample + 160_000
        scored = Scored(start, end, score, self.monitor.threshold, "source")
        found = (Detection(kind, start, end, start, None, score, self.monitor.threshold),) if kind else ()
        self.keeper.heard(self.stream, self.monitor, Outcome((scored,), found))
        self.sample += HOP

    def look(self):
        """What the keeper's thread does when it is woken."""
        self.keeper._write()
        self.keeper._find_all()


@pytest.fixture
def site(tmp_path, bundle):
    return Site(tmp_path, bundle)


def test_too_little_heard_says_how_much_is_missing_once(site):
    own = site.monitor.threshold
    site.hear(0.2)
    site.look()
    site.hear(0.2, seed=2)
    site.look()
    (said,) = site.said
    assert (said.stream, said.subject) == ("pump", "threshold")
    assert "not enough data yet: need about 0.8 more hours" in said.reason
    assert site.monitor.threshold == own
    facts = site.keeper.status("pump")
    assert facts["basis"] == "enrolled clips"
    assert facts["needed_h"] == pytest.approx(1.0 - 0.4, abs=0.05)
    assert facts["heard_h"] == pytest.approx(0.4, abs=0.01)


def test_scores_that_are_lost_to_the_threshold_are_shown(site, monkeypatch):
    # they were counted, and nobody was told
    site.hear(0.2)
    site.look()
    assert site.keeper.status("pump")["lost_scores"] == 0
    with monkeypatch.context() as patched:
        patched.setattr(recorder_module, "MAX_WAITING", 2)
        patched.setattr(recorder_module, "MAX_STRETCH", 10)
        for _ in range(50):
            site.segment(0.0)
        assert site.keeper.lost_scores("pump") == 50 - 10 - 2 * 10  # ten wait in a stretch that goes on
        patched.setattr(module.ScoreHistory, "append", _refused)
        site.keeper._write()
    assert site.keeper.lost_scores("pump") == 50
    site.look()
    assert site.keeper.status("pump")["lost_scores"] == 50


def _refused(*_, **__):
    raise StateError("disk full")


def test_few_clips_promise_no_more_than_their_time_tells(site):
    """The band of a status was narrower than that of the enrolment: a tail was drawn from a handful of scores."""
    site.look()
    assert site.keeper.status("pump")["false_alarms_per_day"]["expected"] is not None
    few = enrolled(site.store, site.monitor.bundle, n=5)
    site.monitor.use_bank(Assembly(site.config).bank(site.store, "pump", "anomaly"))
    site.look()
    rate = site.keeper.status("pump")["false_alarms_per_day"]
    expected = expected_alarms(site.monitor, site.monitor.bank, site.monitor.threshold)
    assert site.monitor.bank_version == few
    assert (rate["expected"], rate["low"], rate["high"]) == (None, 0.0, expected.high_per_day)
    assert rate["high"] >= 24.0 * 1.92 / (5 * 10.0 / 3600.0)  # of no alarm in so little time, 95 % one-sided (Jeffreys)


def test_a_day_heard_moves_the_threshold_and_says_what_it_rests_on(site):
    own = site.monitor.threshold
    site.hear(24.0)
    site.look()
    (said,) = site.said
    assert site.monitor.threshold != own
    assert said.state == f"{site.monitor.threshold:.3f}"
    assert "with 90% confidence), extrapolated from 24 hours" in said.reason
    facts = site.keeper.status("pump")
    assert facts["threshold"] == site.monitor.threshold
    rate = facts["false_alarms_per_day"]
    assert rate["low"] < rate["expected"] < rate["high"]
    assert (rate["budget"], rate["high"]) == (2.0, pytest.approx(2.0, rel=0.05))


def test_a_restart_judges_by_what_was_found_before_it_heard_anything(tmp_path, bundle, site):
    site.hear(24.0)
    site.look()
    assert Site(tmp_path, bundle).monitor.threshold == site.monitor.threshold
    assert Site(tmp_path, bundle, AnomalySettings()).monitor.threshold != site.monitor.threshold


def test_what_was_found_holds_when_what_was_heard_is_forgotten(site):
    site.hear(24.0)
    site.look()
    found = site.monitor.threshold
    with ScoreHistory(site.config.state_path) as history:
        history._connection.execute("DELETE FROM score_history")
    site.look()
    assert site.monitor.threshold == found
    assert site.keeper.status("pump")["basis"] == "found earlier"


def test_new_references_begin_anew_and_old_ones_find_their_threshold_again(site, bundle):
    site.hear(24.0)
    site.look()
    found = site.monitor.threshold
    enrolled(site.store, bundle, seed=7)
    assembly = Assembly(site.config)
    site.monitor.use_bank(assembly.bank(site.store, "pump", "anomaly"))
    assert site.monitor.threshold == site.monitor.bank.threshold
    site.segment(0.0)
    assert site.keeper._is_due
    site.look()
    assert "not enough data yet" in site.said[-1].reason
    site.store.rollback("pump", "anomaly")
    site.monitor.use_bank(assembly.bank(site.store, "pump", "anomaly"))
    assert site.monitor.threshold == found


def test_a_version_with_other_labels_only_goes_on_with_what_was_heard(site, bundle):
    site.hear(24.0)
    site.look()
    found = site.monitor.threshold
    enrolled(site.store, bundle, seed=0)
    site.monitor.use_bank(Assembly(site.config).bank(site.store, "pump", "anomaly"))
    site.segment(0.0)
    site.look()
    assert (site.monitor.bank_version, site.monitor.threshold) == (2, pytest.approx(found, rel=0.01))


def test_a_changed_budget_is_taken_while_it_runs(site):
    site.hear(24.0)
    site.look()
    strict = site.monitor.threshold
    assert not site.keeper.use_settings("pump", site.monitor.settings)
    assert site.keeper.use_settings("pump", AnomalySettings(false_alarms_per_day=20.0, onset_segments=1))
    assert site.monitor.settings.onset_segments == 2
    assert site.monitor.threshold == site.monitor.bank.threshold  # that of the old budget holds no longer
    site.look()
    assert site.monitor.threshold < strict


def test_a_budget_changed_back_before_the_worker_came_to_it_is_changed_back(site):
    # the second change was compared with what the monitor still had, and was passed over
    waiting = []
    site.keeper._between_segments = waiting.append
    other = site.monitor.settings.model_copy(update={"false_alarms_per_day": 50.0})
    assert site.keeper.use_settings("pump", other)
    assert site.keeper.use_settings("pump", BUDGET)
    for action in waiting:
        action()
    assert site.monitor.settings.false_alarms_per_day == 2.0


def test_the_end_does_not_wait_for_every_streams_threshold(site):
    site.keeper._stopping = True
    site.hear(3)
    site.look()
    assert site.keeper.status("pump") is None


def test_small_changes_are_not_worth_an_event(site):
    site.hear(24.0)
    site.look()
    found = site.monitor.threshold
    site.hear(1.0, seed=5)
    site.look()
    assert site.monitor.threshold == found
    assert len(site.said) == 1


def test_alarms_do_not_raise_the_threshold(site):
    """A fault that comes and goes all day is no normal sound, however often it is heard."""
    site.hear(24.0)
    for _ in range(200):
        for score, kind in ((9.0, None), (12.0, "onset"), (30.0, None), (0.0, "cleared"), *(((0.1, None),) * 40)):
            site.segment(score, kind)
    site.look()
    assert site.monitor.threshold < 9.0


def test_without_a_budget_the_rate_is_told_and_nothing_else_happens(tmp_path, bundle):
    site = Site(tmp_path, bundle, AnomalySettings())
    site.hear(2.0)
    site.look()
    assert site.said == []
    assert site.keeper.status("pump")["false_alarms_per_day"]["expected"] is not None
    assert site.monitor.threshold == site.monitor.bank.threshold


def test_damage_met_by_the_keeper_is_told_to_who_begins_anew(site, monkeypatch):
    """History was lost for days, until somebody restarted the daemon."""

    def broken(*_):
        raise DamagedError("state database: malformed")

    site.hear(0.1)
    monkeypatch.setattr(module, "ScoreHistory", broken)
    site.look()
    assert set(site.met) == {"state database: malformed"}


def test_a_failing_disk_costs_history_and_is_told_once(site, monkeypatch):
    def broken(*_):
        raise StateError("disk full")

    site.hear(0.1)
    with monkeypatch.context() as patched:
        patched.setattr(module, "ScoreHistory", broken)
        site.look()
        site.hear(0.1)
        site.look()
    assert site.keeper.failures == 4  # twice stored and looked for
    assert [(s.stream, s.subject, s.state) for s in site.said] == [("edged", "threshold", "history lost")]
    site.hear(0.1)
    site.look()
    with ScoreHistory(site.config.state_path) as history:
        assert sum(len(s.scores) for s in history.stretches("pump", "anomaly", 1)) == 141


def test_the_thread_stores_what_was_heard_when_it_ends(site):
    site.keeper.start()
    assert site.announced.wait(TIMEOUT_S)
    site.hear(0.1)
    assert site.keeper.stop(TIMEOUT_S)
    with ScoreHistory(site.config.state_path) as history:
        assert sum(len(s.scores) for s in history.stretches("pump", "anomaly", 1)) == 141


def test_other_monitors_are_passed_over(site):
    keyword = SimpleNamespace(name="keyword", bank_version=3)
    site.keeper.heard(site.stream, keyword, Outcome())
    assert isinstance(site.monitor, AnomalyMonitor)
    assert site.keeper.status("nobody") is None
