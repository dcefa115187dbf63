import pytest

from edged.errors import StateError
from edged.runtime.lock import daemon_holds, only_daemon


def test_one_daemon_at_a_time_and_others_can_see_it(tmp_path):
    state = tmp_path / "state"
    assert not daemon_holds(state)
    with only_daemon(state):
        assert daemon_holds(state)
        with pytest.raises(StateError, match="another daemon uses it"), only_daemon(state):
            pass
    assert not daemon_holds(state)
    assert state.stat().st_mode & 0o007 == 0
