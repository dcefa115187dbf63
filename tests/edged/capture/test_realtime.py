import hashlib
import multiprocessing
import os
import resource
import threading
import time
from pathlib import Path

import pytest

from edged.capture import realtime
from edged.capture.realtime import RUNAWAY_US, RealtimePriority


def in_a_process_of_its_own(call, *arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def policies_of_all_threads():
    return {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}


def _ask(priority):
    realtime_priority = RealtimePriority()
    realtime_priority.ask(priority)
    return realtime_priority.is_held, policies_of_all_threads(), resource.getrlimit(resource.RLIMIT_RTTIME)[0]


def _run_away():
    """A thread that was there before computes without ever waiting; the main thread waits, as the child's does."""
    begin = threading.Event()

    def compute():
        begin.wait()
        hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 20_000_000)  # without the interpreter's lock, for seconds

    threading.Thread(target=compute, daemon=True).start()
    priority = RealtimePriority()
    priority.ask(1)
    was_held = priority.is_held
    begin.set()
    deadline_s = time.monotonic() + 20.0
    while priority.is_held and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return was_held, priority.is_held, policies_of_all_threads()


def test_it_is_granted_to_every_thread_with_a_limit_for_runaways_or_to_none():
    is_held, policies, limit_us = in_a_process_of_its_own(_ask, 1)
    assert policies == ({os.SCHED_RR} if is_held else {os.SCHED_OTHER})
    assert limit_us == RUNAWAY_US


def test_zero_asks_for_nothing():
    assert in_a_process_of_its_own(_ask, 0) == (False, {os.SCHED_OTHER}, resource.RLIM_INFINITY)


def test_a_thread_that_runs_away_costs_the_priority_and_not_the_process():
    was_held, is_held, policies = in_a_process_of_its_own(_run_away)
    if not was_held:
        pytest.skip("no right to real-time priority here")
    assert not is_held
    assert policies == {os.SCHED_OTHER}


def _refused_half_way():
    """The first thread gets it, the second does not."""
    waiting = threading.Event()
    threading.Thread(target=waiting.wait, daemon=True).start()
    setscheduler, calls = os.sched_setscheduler, []

    def refuse_the_second(thread, policy, param):
        calls.append(policy)
        if calls.count(os.SCHED_RR) == 2 and policy == os.SCHED_RR:
            raise PermissionError
        setscheduler(thread, policy, param)

    realtime.os.sched_setscheduler = refuse_the_second
    result = _ask(1)
    waiting.set()
    return result


def test_what_is_refused_half_way_is_given_back():
    is_held, policies, _ = in_a_process_of_its_own(_refused_half_way)
    assert not is_held
    assert policies == {os.SCHED_OTHER}


def _forbidden():
    """A container may forbid the very call, whatever is asked."""

    def forbid(*_):
        raise PermissionError

    realtime.os.sched_setscheduler = forbid
    return _ask(1)[0]


def test_where_the_very_call_is_forbidden_capture_goes_on_without():
    """Giving back what had not been given ended the child."""
    assert in_a_process_of_its_own(_forbidden) is False
