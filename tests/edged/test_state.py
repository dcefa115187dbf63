"""The state database: a transaction happens whole or not at all, also when the process is killed inside it."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

import pytest

from edged.errors import StateError
from edged.state import DATABASE_NAME, Database, open_database, transaction


def rows(connection):
    return [value for (value,) in connection.execute("SELECT value FROM t ORDER BY value")]


@pytest.fixture
def connection(tmp_path):
    connection = open_database(tmp_path)
    connection.execute("CREATE TABLE t (value INTEGER)")
    yield connection
    connection.close()


def test_the_directory_is_made_and_closed_to_others(tmp_path):
    open_database(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o007 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_in_the_state_of_the_daemons_user_is_that_users(tmp_path):
    os.chown(tmp_path, 12345, 12346)
    with closing(open_database(tmp_path)) as connection:
        connection.execute("CREATE TABLE t (value INTEGER)")
        owners = {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
        assert len(list(tmp_path.iterdir())) == 3  # the database, and SQLite's two beside it
    assert owners == {(12345, 12346)}


def open_once(state_dir):
    open_database(state_dir).close()


def test_many_processes_may_make_the_same_database_at_once(tmp_path):
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as processes:
        for k in range(25):
            list(processes.map(open_once, [tmp_path / str(k)] * 8))


def test_a_killed_process_could_lose_nothing_that_was_committed(connection):
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def break_off(connection):
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (2)")
        raise KeyError


def test_everything_or_nothing(connection):
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyError):
        break_off(connection)
    assert rows(connection) == [1]


def test_an_error_of_the_database_names_the_recovery(connection):
    with pytest.raises(StateError, match=r"no such table.*free space"), transaction(connection):
        connection.execute("INSERT INTO absent VALUES (1)")
    assert not connection.in_transaction


def test_a_second_writer_waits_and_is_refused_in_the_end(connection, tmp_path):
    other = open_database(tmp_path)
    other.execute("PRAGMA busy_timeout = 20")
    with transaction(connection):
        with pytest.raises(StateError, match="locked"), transaction(other):
            pass
        connection.execute("INSERT INTO t VALUES (1)")
    with transaction(other):
        other.execute("INSERT INTO t VALUES (2)")
    assert rows(connection) == [1, 2]
    other.close()


def test_a_full_disk_changes_nothing_and_is_named(connection):
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StateError, match="full"), transaction(connection):
        connection.executemany("INSERT INTO t VALUES (?)", [(k,) for k in range(10_000)])
    assert rows(connection) == []
    assert not connection.in_transaction


def test_a_refused_commit_leaves_no_transaction_open(connection):
    """Every later one was refused then: one cannot be begun within another."""
    connection.execute("CREATE TABLE child (parent INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    with pytest.raises(StateError, match="FOREIGN KEY"), transaction(connection):
        connection.execute("INSERT INTO child VALUES (1)")
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
    assert rows(connection) == [1]


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / DATABASE_NAME).write_bytes(b"this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(StateError, match=DATABASE_NAME):
        open_database(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="check the directory's owner"):
        open_database(tmp_path / "file" / "state")


def test_a_process_killed_inside_a_transaction_leaves_the_old_state(connection, tmp_path):
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
    script = (
        "import os, pathlib, signal, sys\n"
        "from edged.state import open_database, transaction\n"
        "c = open_database(pathlib.Path(sys.argv[1]))\n"
        "with transaction(c):\n"
        "    c.executemany('INSERT INTO t VALUES (?)', [(k,) for k in range(2, 50000)])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert rows(connection) == [1]
    assert sqlite3.connect(tmp_path / DATABASE_NAME).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_part_whose_tables_cannot_be_made_leaves_no_connection_open(tmp_path, monkeypatch):
    """A refused schema left the file open until the process ended."""
    closed = []
    monkeypatch.setattr(Broken, "close", lambda self: (closed.append(True), Database.close(self)))
    with pytest.raises(StateError, match="syntax error"):
        Broken(tmp_path)
    assert closed == [True]


class Broken(Database):
    SCHEMA = ("CREATE nothing",)
