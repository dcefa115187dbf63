"""A damaged state database: kept aside, read as far as it goes, and whatever is lost is told."""

import random
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from edged.clock import NS_PER_S
from edged.errors import DamagedError, StateError
from edged.events.journal import Journal, read_journal
from edged.references.store import BankStore
from edged.salvage import KEPT_DAMAGED, Salvage, _tables, damaged_files, salvage_if_damaged
from edged.state import DATABASE_NAME
from tests.fakes.events import onset

NOW_NS = 1_769_864_400 * NS_PER_S
STAMP = "20260131T130000Z"
PAGE = 4096


def fill(state_dir, versions=3, events=400):
    with BankStore(state_dir) as store:
        for stream in ("fan", "press"):
            for version in range(versions):
                arrays = {"x": np.random.default_rng(version).standard_normal(3000).astype(np.float32)}
                store.commit(stream, "anomaly", {"n": version}, arrays, reason="enrolled", based_on=version)
    journal = Journal(state_dir)
    journal.append([(onset(seq, journal=journal.identity), seq * NS_PER_S) for seq in range(1, events + 1)])
    journal.close()


@pytest.fixture(scope="module")
def sound_state(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sound")
    fill(directory)
    return directory


@pytest.fixture
def state(sound_state, tmp_path):
    shutil.copytree(sound_state, tmp_path / "state")
    return tmp_path / "state"


def banks(state_dir):
    with BankStore(state_dir) as store:
        found = {stream: store.active_version(stream, "anomaly") for stream in ("fan", "press")}
        for stream, version in found.items():
            if version:
                store.load(stream, "anomaly", version)
    return found


def overwrite(state_dir, offset, data=b"\xa5" * PAGE):
    with (state_dir / DATABASE_NAME).open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def roots(state_dir):
    """Pages of each table, by the database's own word."""
    connection = sqlite3.connect(state_dir / DATABASE_NAME)
    found = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    connection.close()
    return {name: (page - 1) * PAGE for name, page in found.items()}


def test_a_sound_database_and_none_are_left_alone(state, tmp_path):
    before = (state / DATABASE_NAME).read_bytes()
    assert salvage_if_damaged(state, NOW_NS) is None
    assert salvage_if_damaged(tmp_path / "none", NOW_NS) is None
    assert (state / DATABASE_NAME).read_bytes() == before
    assert not list(state.glob("*damaged*"))


def test_a_damaged_index_costs_nothing(state):
    overwrite(state, roots(state)["journal_by_time"])
    found = salvage_if_damaged(state, NOW_NS)
    assert found.lost == []
    assert banks(state) == {"fan": 3, "press": 3}
    assert len(read_journal(state)) == 400
    assert (state / f"{DATABASE_NAME}.damaged-{STAMP}-1").exists()
    assert salvage_if_damaged(state, NOW_NS) is None


def test_numbers_and_their_identity_go_on(state):
    journal = Journal(state)
    was = journal.identity
    journal.close()
    overwrite(state, roots(state)["journal_by_time"])
    salvage_if_damaged(state, NOW_NS)
    journal = Journal(state)
    assert (journal.identity, journal.last_seq) == (was, 400)
    journal.close()


def test_events_on_a_damaged_page_are_told_and_all_others_kept(state):
    body = (state / DATABASE_NAME).read_bytes()
    overwrite(state, body.index(b'"seq":200') // PAGE * PAGE)
    found = salvage_if_damaged(state, NOW_NS)
    kept = [event["seq"] for event in read_journal(state)]
    assert len(kept) > 380
    assert {1, 399, 400} <= set(kept)
    assert 200 not in kept
    assert "journal_events: between number" in str(found)
    assert banks(state) == {"fan": 3, "press": 3}


def test_where_the_references_in_use_are_damaged_the_newest_whole_ones_serve(state):
    with BankStore(state) as store:
        blob = store._query("SELECT arrays FROM banks WHERE stream='fan' AND version=3")[0][0]
    overwrite(state, (state / DATABASE_NAME).read_bytes().index(blob[5000:5100]), b"\0" * 100)
    overwrite(state, roots(state)["journal_by_time"])  # damage that SQLite itself sees
    found = salvage_if_damaged(state, NOW_NS)
    assert banks(state) == {"fan": 2, "press": 3}
    assert "fan/anomaly: version 3 is lost, version 2 is in use now" in found.lost
    assert found.lost_banks == []


@pytest.mark.parametrize("damage", ["type=NULL", "name=x'41'", "sql=x'00'", "sql=CAST(x'ff' AS TEXT)"])
def test_a_damaged_line_of_the_schema_costs_its_index_only(state, damage):
    """Names that are no text ended the daemon at every start, or hid everything else."""
    connection = sqlite3.connect(state / DATABASE_NAME)
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute(f"UPDATE sqlite_master SET {damage} WHERE name='journal_by_time'")  # noqa: S608 - constants only
    connection.commit()
    connection.close()
    assert salvage_if_damaged(state, NOW_NS) is not None
    assert banks(state) == {"fan": 3, "press": 3}
    assert len(read_journal(state)) == 400


def test_references_that_are_all_lost_are_named(state):
    connection = sqlite3.connect(state / DATABASE_NAME)
    connection.execute("UPDATE banks SET arrays_sha256='0' WHERE stream='fan'")
    connection.commit()
    connection.close()
    overwrite(state, roots(state)["journal_by_time"])
    found = salvage_if_damaged(state, NOW_NS)
    assert found.lost_banks == [("fan", "anomaly")]
    assert banks(state) == {"fan": 0, "press": 3}


@pytest.mark.parametrize("damage", ["header", "schema", "no database", "empty", "half"])
def test_a_file_of_which_little_is_left(state, damage):
    path = state / DATABASE_NAME
    if damage == "header":
        overwrite(state, 0, b"\0" * 100)
    elif damage == "schema":
        overwrite(state, 100, b"\xff" * (PAGE - 100))
    elif damage == "no database":
        path.write_bytes(b"this is no database, but long enough to be taken for one" * 200)
    elif damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"")  # which is a new, empty database to SQLite: references would have vanished without a word
        assert salvage_if_damaged(state, NOW_NS) is None  # nobody has run here yet
        (state / "journal.mark").write_bytes(b"0" * 20)
    found = salvage_if_damaged(state, NOW_NS)
    assert found.lost
    assert found.is_total == (damage != "half")
    if found.is_total:
        fill(state, 1, 1)  # the new one works
    else:
        assert len(read_journal(state)) > 10


def test_damage_anywhere_leaves_a_database_that_works_and_true_words(sound_state, tmp_path):
    """Places at random: what is kept is as it was, and what is not kept is told."""
    rng = random.Random(5)
    with BankStore(sound_state) as store:
        whole = {(s, v): store.load(s, "anomaly", v).arrays["x"] for s in ("fan", "press") for v in (1, 2, 3)}
    damaged = 0
    for number in range(40):
        state = tmp_path / str(number)
        shutil.copytree(sound_state, state)
        size = (state / DATABASE_NAME).stat().st_size
        for _ in range(rng.choice([1, 1, 3])):
            overwrite(state, rng.randrange(size - 64), rng.randbytes(rng.choice([8, 64])))
        found = salvage_if_damaged(state, NOW_NS)
        damaged += found is not None
        assert salvage_if_damaged(state, NOW_NS) is None
        active = {}
        with BankStore(state) as store:
            for stream in ("fan", "press"):
                version = active[stream] = store.active_version(stream, "anomaly")
                try:
                    assert not version or np.array_equal(
                        store.load(stream, "anomaly", version).arrays["x"], whole[stream, version]
                    )
                except StateError:  # damage inside of a blob: SQLite cannot see it, our own sum does, at its first use
                    assert found is None
        if found:
            assert (state / DATABASE_NAME).with_name(found.moved_to.name).exists()
            assert found.lost or active == {"fan": 3, "press": 3}, str(found)
        shutil.rmtree(state)
    assert damaged > 4


@pytest.mark.parametrize("after", ["wal", "database", "nothing"])
def test_killed_while_it_is_put_in_place_the_next_start_completes_it(state, after, tmp_path):
    overwrite(state, roots(state)["journal_by_time"])
    other = tmp_path / "other"
    shutil.copytree(state, other)
    salvage_if_damaged(other, NOW_NS)
    shutil.copy(other / DATABASE_NAME, state / f"{DATABASE_NAME}.salvaged")
    (state / f"{DATABASE_NAME}-wal").write_bytes(b"of the damaged one")
    if after in {"wal", "database"}:
        (state / f"{DATABASE_NAME}-wal").rename(state / f"{DATABASE_NAME}.damaged-x-wal")
    if after == "database":
        (state / DATABASE_NAME).rename(state / f"{DATABASE_NAME}.damaged-x")
    assert salvage_if_damaged(state, NOW_NS) is not None
    assert not (state / f"{DATABASE_NAME}.salvaged").exists()
    assert banks(state) == {"fan": 3, "press": 3}
    assert len(read_journal(state)) == 400


def test_only_the_latest_damaged_files_are_kept(state):
    for number in range(KEPT_DAMAGED + 3):
        overwrite(state, roots(state)["journal_by_time"])
        salvage_if_damaged(state, NOW_NS + number * NS_PER_S)
    assert len(list(state.glob("*.damaged-*"))) == KEPT_DAMAGED


def test_the_latest_is_kept_when_the_clock_has_gone_back(state):
    # they were told apart by the time in their names: a computer that began in 1970 removed its newest one
    (state / f"{DATABASE_NAME}.damaged-20250101T000000Z").touch()  # of before they were numbered
    for seconds in (10, 20, 30, -56 * 365 * 86400):
        overwrite(state, roots(state)["journal_by_time"])
        found = salvage_if_damaged(state, NOW_NS + seconds * NS_PER_S)
    assert found.moved_to.exists()
    assert [path.name.rsplit("-", 1)[1] for path in damaged_files(state)] == ["2", "3", "4"]


def test_everybody_else_names_the_fix(state):
    (state / DATABASE_NAME).write_bytes(b"this is no database, but long enough to be taken for one" * 200)
    with pytest.raises(DamagedError, match="start the daemon again"):
        BankStore(state)


def test_a_look_at_a_sound_database_takes_little_time(state):
    started_s = time.monotonic()
    assert salvage_if_damaged(state, NOW_NS) is None
    assert time.monotonic() - started_s < 30


@pytest.mark.parametrize("error", [ValueError("null character"), sqlite3.Warning("one statement at a time")])
def test_a_table_whose_text_is_no_statement_any_more_is_passed_over(sound_state, error):
    """Python 3.10 raises what is no error of SQLite's for a null or a `;` in it: the daemon ended at each start."""

    class Refusing(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql.startswith("CREATE TABLE banks"):
                raise error
            return super().execute(sql, *arguments)

    found = Salvage(sound_state)
    with (
        closing(sqlite3.connect(sound_state / DATABASE_NAME)) as old,
        closing(sqlite3.connect(":memory:", factory=Refusing)) as new,
    ):
        tables = _tables(old, new, found)
    assert {"active_banks", "events"} & set(tables)
    assert "banks" not in tables
    assert f"banks: {error}" in found.lost
