"""One life after the other: what follows which end, and what the next start is told of it."""

import sys
from types import SimpleNamespace

import pytest

from edged import daemon
from edged.config import Config
from edged.errors import BundleError, ConfigError, StateError
from edged.runtime.life import BEGIN_ANEW
from edged.runtime.lock import daemon_holds
from edged.runtime.starts import RECORD_NAME, Starts


class Replaced(BaseException):
    """The process is another one now."""


@pytest.fixture
def lives(monkeypatch, tmp_path):
    """Ends of the lives to come, one after the other; and all that happened."""
    to_come, seen = [], []
    config = Config(state_dir=tmp_path, service={"crash_limit": 3})

    def life(kind):
        def make(_config, *_, **__):
            seen.append(kind)

            def run():
                assert daemon_holds(tmp_path)
                end = to_come.pop(0)
                if isinstance(end, BaseException):
                    raise end
                made.fault = end if isinstance(end, str) else ""
                return BEGIN_ANEW if isinstance(end, str) else end

            control = SimpleNamespace(is_busy=False, finish_job=lambda: seen.append("job finished"))
            made = SimpleNamespace(run=run, fault="", control=control)
            return made

        return make

    def replace(*command):
        seen.append(command)
        raise Replaced

    monkeypatch.setattr(daemon, "Service", life("service"))
    monkeypatch.setattr(daemon, "SafeMode", life("safe mode"))
    monkeypatch.setattr(daemon, "set_up_logging", lambda: None)
    monkeypatch.setattr(daemon.os, "execv", replace)
    monkeypatch.setattr(daemon.signal, "signal", lambda *_: None)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    return SimpleNamespace(to_come=to_come, seen=seen, config=config, record=tmp_path / RECORD_NAME)


def test_a_life_that_was_told_to_end_leaves_no_trace(lives):
    lives.to_come += [0]
    assert daemon.run(lives.config) == 0
    assert (lives.seen, lives.record.exists()) == (["service"], False)


def test_after_a_fault_the_process_becomes_a_new_one(lives):
    lives.to_come += ["thread worker died"]
    with pytest.raises(Replaced):
        daemon.run(lives.config, lambda: lives.config)
    assert lives.seen == ["service", (sys.executable, [sys.executable, *sys.orig_argv[1:]])]
    assert "thread worker died" in lives.record.read_text()
    assert not daemon_holds(lives.config.state_path)


def test_the_watchdog_waits_for_the_next_life_as_long_as_for_a_first_start(lives, monkeypatch):
    """Nothing feeds it before all is ready: a slow start was ended halfway, again and again."""
    told = []
    monkeypatch.setattr(daemon, "notify", lambda *states: told.extend(states))
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    lives.to_come += ["a thread died"]
    with pytest.raises(Replaced):
        daemon.run(lives.config, lambda: lives.config)
    assert told == ["STATUS=beginning anew: a thread died", "WATCHDOG_USEC=120000000"]


def test_a_process_of_somebody_elses_is_not_replaced_and_the_old_job_ends_first(lives):
    lives.to_come += ["damaged", 0]
    assert daemon.run(lives.config) == 0
    assert lives.seen == ["service", "job finished", "service"]


def test_a_configuration_that_was_broken_meanwhile_is_no_end(lives):
    def reread():
        raise ConfigError("odd: unknown key")

    lives.to_come += ["damaged", 0]
    assert daemon.run(lives.config, reread) == 0
    assert lives.seen == ["service", "job finished", "service"]


def test_a_version_that_was_removed_meanwhile_is_no_end(lives, monkeypatch):
    def refuse(*_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(daemon.os, "execv", refuse)
    lives.to_come += ["damaged", 0]
    assert daemon.run(lives.config, lambda: lives.config) == 0
    assert lives.seen == ["service", "job finished", "service"]


def test_too_many_faults_lead_to_safe_mode_and_what_ends_that_does_not_hide_why(lives):
    lives.to_come += ["first", "second", "third", "thread publisher died", 0]
    assert daemon.run(lives.config) == 0
    assert [what for what in lives.seen if what != "job finished"] == ["service"] * 3 + ["safe mode"] * 2
    lives.to_come += ["first", "second", "third", "thread publisher died"]
    with pytest.raises(IndexError):
        daemon.run(lives.config)
    assert Starts(lives.config).begin().last_error != "thread publisher died"


def test_a_wish_is_no_fault(lives):
    lives.to_come += [BEGIN_ANEW] * 10 + [0]
    assert daemon.run(lives.config) == 0
    assert "safe mode" not in lives.seen


@pytest.mark.parametrize("is_managed", [False, True])
def test_what_is_refused_counts_where_somebody_starts_it_again_for_ever(lives, is_managed, monkeypatch):
    if is_managed:
        monkeypatch.setenv("NOTIFY_SOCKET", "/absent")
    for _ in range(3):
        lives.to_come[:] = [BundleError("model.onnx: altered")]
        with pytest.raises(BundleError):
            daemon.run(lives.config)
    lives.to_come[:] = [0]
    assert daemon.run(lives.config) == 0
    assert lives.seen[3:] == ["safe mode" if is_managed else "service"]


@pytest.mark.parametrize("end", [ConfigError("no streams"), KeyboardInterrupt()])
def test_a_configuration_that_is_refused_and_ctrl_c_while_it_starts_count_for_nothing(lives, end, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/absent")
    lives.to_come += [end]
    with pytest.raises(type(end)):
        daemon.run(lives.config)
    assert not lives.record.exists()


def test_a_run_that_has_an_end_fails_once_and_then_tries_again(lives):
    config = lives.config.model_copy(update={"exit_when_done": True})
    for _ in range(3):
        lives.to_come[:] = [ZeroDivisionError("oops")]
        with pytest.raises(ZeroDivisionError):
            daemon.run(config)
    with pytest.raises(StateError, match=r"did not last; the last time: ZeroDivisionError: oops; mend that"):
        daemon.run(config)
    lives.to_come[:] = [0]
    assert daemon.run(config) == 0


def test_why_it_failed_is_not_told_of_as_its_own_reason_again_and_again(lives, monkeypatch):
    """Where a manager starts it again, the sentence grew with every start, until the reason was cut off its end."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/absent")
    config = lives.config.model_copy(update={"exit_when_done": True})
    for _ in range(3):
        lives.to_come[:] = [ZeroDivisionError("oops")]
        with pytest.raises(ZeroDivisionError):
            daemon.run(config)
    for _ in range(3):
        with pytest.raises(StateError) as refused:
            daemon.run(config)
        assert refused.value.message.count("did not last") == 1
