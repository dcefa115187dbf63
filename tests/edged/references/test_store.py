"""Banks in the database: whole versions, one active, every roll-back possible, killed at any point without harm."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.errors import ConfigError, StateError
from edged.references import store as stores
from edged.references.store import BankStore, open_store, pack_arrays, unpack_arrays


@pytest.fixture
def store(tmp_path):
    with BankStore(tmp_path) as store:
        yield store


def commit(store, value, *, stream="press", monitor="anomaly", based_on=None):
    active = store.active_version(stream, monitor) if based_on is None else based_on
    arrays = {"vectors": np.full((3, 2), value, np.float32), "domains": np.array(["source", "target"])}
    return store.commit(stream, monitor, {"value": value}, arrays, reason=f"enrolled {value}", based_on=active)


def test_what_is_committed_is_read_back(store):
    assert commit(store, 7) == 1
    bank = store.load_active("press", "anomaly")
    assert (bank.version, bank.reason, bank.facts) == (1, "enrolled 7", {"value": 7})
    np.testing.assert_array_equal(bank.arrays["vectors"], np.full((3, 2), 7, np.float32))
    assert bank.arrays["domains"].tolist() == ["source", "target"]


def test_nothing_is_enrolled_at_first(store):
    assert store.active_version("press", "anomaly") == 0
    assert store.load_active("press", "anomaly") is None
    assert store.versions("press", "anomaly") == []
    assert store.streams() == []


def test_streams_and_monitors_have_banks_of_their_own(store):
    commit(store, 1)
    commit(store, 2, monitor="keyword")
    commit(store, 3, stream="pump")
    assert store.streams() == [("press", "anomaly"), ("press", "keyword"), ("pump", "anomaly")]
    assert store.load_active("press", "keyword").facts == {"value": 2}


def test_history_is_newest_first_with_one_active(store):
    for value in (1, 2, 3):
        commit(store, value)
    assert [(v.version, v.active) for v in store.versions("press", "anomaly")] == [(3, True), (2, False), (1, False)]


def test_rolling_back_moves_the_pointer_and_keeps_the_versions(store):
    for value in (1, 2, 3):
        commit(store, value)
    assert store.rollback("press", "anomaly") == 2
    assert store.load_active("press", "anomaly").facts == {"value": 2}
    assert store.rollback("press", "anomaly", 3) == 3
    assert len(store.versions("press", "anomaly")) == 3


def test_rolling_back_goes_to_what_a_version_was_built_from(store):
    """After a roll-back and a new enrolment the next roll-back brought back what had just been undone."""
    for value in (1, 2):
        commit(store, value)
    assert store.rollback("press", "anomaly") == 1
    assert commit(store, 3) == 3
    assert store.rollback("press", "anomaly") == 1


def test_versions_of_which_nobody_knows_what_they_were_built_from_roll_back_to_the_next_older(store, tmp_path):
    for value in (1, 2, 3):
        commit(store, value)
    with sqlite3.connect(tmp_path / "edged.db") as raw:
        raw.execute("DELETE FROM bank_bases")
    assert store.rollback("press", "anomaly") == 2


def test_a_version_after_a_roll_back_gets_a_number_of_its_own(store):
    for value in (1, 2):
        commit(store, value)
    store.rollback("press", "anomaly")
    assert commit(store, 3) == 3
    assert store.load("press", "anomaly", 2).facts == {"value": 2}


def test_rolling_back_the_first_version_names_what_undoes_it(store):
    # after a first import the advice was to roll back, which was then refused
    commit(store, 1)
    with pytest.raises(StateError, match=r"nothing lies before version 1: `edged references remove` undoes it"):
        store.rollback("press", "anomaly")
    assert store.active_version("press", "anomaly") == 1


@pytest.mark.parametrize("version", [5, 0, -1])
def test_rolling_back_to_nowhere_is_refused(store, version):
    commit(store, 1)
    with pytest.raises(StateError, match=r"no version to roll back to; known: \[1\]"):
        store.rollback("press", "anomaly", version)
    assert store.active_version("press", "anomaly") == 1


def test_a_removed_bank_can_be_brought_back(store):
    commit(store, 1)
    store.remove("press", "anomaly")
    assert store.load_active("press", "anomaly") is None
    assert store.streams() == []
    assert store.rollback("press", "anomaly", 1) == 1


def test_rolling_back_after_a_removal_brings_the_newest_version_back(store):
    """`remove` promises it, but there was "no version to roll back to" unless one was named."""
    commit(store, 1)
    commit(store, 2)
    store.remove("press", "anomaly")
    assert store.rollback("press", "anomaly") == 2


def test_two_enrolments_at_once_do_not_overwrite_each_other(store, tmp_path):
    commit(store, 1)
    with BankStore(tmp_path) as other:
        commit(other, 2)
        with pytest.raises(StateError, match="changed by somebody else meanwhile; enrol again"):
            commit(store, 3, based_on=1)
    assert store.load_active("press", "anomaly").facts == {"value": 2}


def test_old_versions_go_and_the_active_one_stays(store, monkeypatch):
    monkeypatch.setattr(stores, "KEPT_VERSIONS", 3)
    for value in range(1, 7):
        commit(store, value)
    assert [v.version for v in store.versions("press", "anomaly")] == [6, 5, 4]
    assert store.load_active("press", "anomaly").facts == {"value": 6}


def test_large_versions_go_sooner_but_there_is_always_one_to_roll_back_to(store, monkeypatch):
    monkeypatch.setattr(stores, "KEPT_BYTES", 3000)
    large = {"x": np.zeros(250)}
    for version in range(4):
        store.commit("fan", "anomaly", {}, large, reason="test", based_on=version)
    assert [v.version for v in store.versions("fan", "anomaly")] == [4, 3]
    assert store.rollback("fan", "anomaly") == 3


def test_a_damaged_version_is_refused_and_the_one_before_still_serves(store, tmp_path):
    commit(store, 1)
    commit(store, 2)
    with sqlite3.connect(tmp_path / "edged.db") as raw:
        raw.execute("UPDATE banks SET arrays = zeroblob(length(arrays)) WHERE version = 2")
    with pytest.raises(StateError, match="version 2 is damaged; roll back or enrol again"):
        store.load_active("press", "anomaly")
    store.rollback("press", "anomaly")
    assert store.load_active("press", "anomaly").facts == {"value": 1}


def test_an_unknown_version_is_refused(store):
    with pytest.raises(StateError, match="no version 4"):
        store.load("press", "anomaly", 4)


def test_a_failure_inside_the_commit_leaves_the_old_bank(store, monkeypatch):
    commit(store, 1)
    monkeypatch.setattr(
        store, "_activate", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk I/O error"))
    )
    with pytest.raises(StateError, match="disk I/O error"):
        commit(store, 2)
    monkeypatch.undo()
    assert [v.version for v in store.versions("press", "anomaly")] == [1]
    assert commit(store, 3) == 2


@pytest.mark.parametrize(
    "point", ["INSERT INTO banks", "INSERT OR REPLACE INTO active_banks", "SELECT version, LENGTH", "DELETE FROM banks"]
)
def test_a_process_killed_at_any_statement_of_the_commit_leaves_the_old_bank(store, tmp_path, point):
    commit(store, 1)
    script = (
        "import os, pathlib, signal, sys\n"
        "import numpy as np\n"
        "from edged.references.store import BankStore\n"
        "from edged.references import store as stores\n"
        "stores.KEPT_VERSIONS = 1\n"
        "store = BankStore(pathlib.Path(sys.argv[1]))\n"
        "def watch(sql):\n"
        "    if sql.startswith(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "store._connection.set_trace_callback(watch)\n"
        "store.commit('press', 'anomaly', {}, {'a': np.zeros(100000)}, reason='', based_on=1)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path), point], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert store.load_active("press", "anomaly").facts == {"value": 1}
    assert [v.version for v in store.versions("press", "anomaly")] == [1]


def test_arrays_that_need_a_pickle_are_not_read():
    with pytest.raises(ValueError, match="Object arrays cannot"):
        unpack_arrays(pack_arrays({"a": np.array([{}], dtype=object)}))


def test_the_store_of_a_command_lies_in_its_state_directory(tmp_path):
    with open_store(None, tmp_path / "state") as (config, store):
        commit(store, 1)
        assert config.state_path == tmp_path / "state"
    assert (tmp_path / "state" / "edged.db").is_file()


def test_a_broken_configuration_opens_no_store(tmp_path):
    (tmp_path / "edged.yaml").write_text("metrcs: {}\n")
    with pytest.raises(ConfigError), open_store(tmp_path / "edged.yaml", tmp_path / "state"):
        pass
    assert not (tmp_path / "state").exists()


class StoreAgainstModel(RuleBasedStateMachine):
    """Any sequence of commits, roll-backs and removals does what a dictionary would."""

    def __init__(self):
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.store = BankStore(Path(self.temporary.name))
        self.versions, self.bases, self.active = {}, {}, 0

    def teardown(self):
        self.store.close()
        self.temporary.cleanup()

    @rule(value=st.integers(0, 99))
    def commit(self, value):
        base, self.active = self.active, commit(self.store, value)
        self.bases[self.active] = base
        assert self.active == max(self.versions, default=0) + 1
        self.versions[self.active] = value

    @rule(version=st.one_of(st.none(), st.integers(0, 6)))
    def roll_back(self, version):
        older = [v for v in self.versions if v < self.active or not self.active]
        before = self.bases.get(self.active, 0) or max(older, default=0)
        wanted = version if version is not None else before
        if wanted in self.versions:
            assert self.store.rollback("press", "anomaly", version) == wanted
            self.active = wanted
        else:
            with pytest.raises(StateError):
                self.store.rollback("press", "anomaly", version)

    @rule()
    def remove(self):
        self.store.remove("press", "anomaly")
        self.active = 0

    @invariant()
    def the_active_bank_is_the_models(self):
        bank = self.store.load_active("press", "anomaly")
        assert (bank.version if bank else 0) == self.active
        assert (bank.facts if bank else None) == ({"value": self.versions[self.active]} if self.active else None)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=15, stateful_step_count=12, deadline=None, derandomize=True)
