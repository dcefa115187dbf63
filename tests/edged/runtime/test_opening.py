import pytest

from edged.errors import StateError
from edged.reserve import RESERVE_NAME, put_by
from edged.runtime import opening
from edged.runtime.opening import changes_of, open_state
from edged.state import DATABASE_NAME


def test_what_was_lost_is_told_also_where_only_the_reserve_lets_it_open(tmp_path, monkeypatch):
    """The second try found a whole database, and so nothing to tell."""
    (tmp_path / DATABASE_NAME).write_bytes(b"no database any more" * 1000)
    assert put_by(tmp_path)
    real = opening.BankStore

    def refuse_once(state_dir):
        monkeypatch.setattr(opening, "BankStore", real)
        raise StateError("database or disk is full")

    monkeypatch.setattr(opening, "BankStore", refuse_once)
    salvaged = open_state(tmp_path, 0)
    assert [(change.stream, change.state) for change in changes_of(salvaged, ["press"])] == [
        ("edged", "salvaged"), ("press", "lost"),
    ]  # fmt: skip
    assert not (tmp_path / RESERVE_NAME).exists()


def test_without_a_reserve_it_says_so(tmp_path, monkeypatch):
    def refuse(_):
        raise StateError("database or disk is full")

    monkeypatch.setattr(opening, "BankStore", refuse)
    with pytest.raises(StateError, match="full"):
        open_state(tmp_path, 0)
