import fcntl
import threading

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


def test_who_only_looks_is_in_no_daemons_way(tmp_path):
    """A command that looked just as a daemon started made it end: "another daemon uses it"."""
    with only_daemon(tmp_path):
        pass
    with (tmp_path / "edged.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN))
        release.start()
        with only_daemon(tmp_path):
            assert daemon_holds(tmp_path)
        release.join()
