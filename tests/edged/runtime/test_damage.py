import pytest

from edged.errors import DamagedError, StateError
from edged.runtime.damage import LOOK_EVERY_S, DamageWatch
from edged.state import DATABASE_NAME, open_database


@pytest.fixture
def watch(tmp_path):
    open_database(tmp_path).close()
    return DamageWatch(tmp_path)


def meet(watch, error):
    def verb(_):
        raise error

    with pytest.raises(type(error)):
        watch.watched({"show": verb})["show"]({})


def test_damage_that_is_there_is_found_and_damage_that_is_not_is_not(watch, tmp_path, caplog):
    assert watch.found(0.0) == ""
    meet(watch, DamagedError("malformed"))
    assert watch.found(1.0) == ""
    assert "malformed; the database itself is whole" in caplog.text
    (tmp_path / DATABASE_NAME).write_bytes(b"no database any more" * 1000)
    meet(watch, DamagedError("malformed"))
    assert watch.found(1.0 + LOOK_EVERY_S / 2) == ""  # a look may take long: not at every wish
    assert watch.found(1.0 + LOOK_EVERY_S) == "malformed"


def test_who_meets_it_on_a_thread_of_its_own_tells_it(watch, tmp_path):
    (tmp_path / DATABASE_NAME).write_bytes(b"no database any more" * 1000)
    watch.met("no history")
    assert watch.found(0.0) == "no history"


def test_other_troubles_and_answers_are_not_its_own(watch, tmp_path):
    (tmp_path / DATABASE_NAME).write_bytes(b"no database any more" * 1000)
    meet(watch, StateError("locked"))
    assert watch.watched({"ping": lambda args: args})["ping"]({"a": 1}) == {"a": 1}
    assert watch.found(1.0) == ""
