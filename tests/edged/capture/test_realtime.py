import multiprocessing
import os
import resource

import pytest

from edged.capture import realtime
from edged.capture.realtime import RUNAWAY_US, ask_for_realtime


def _in_a_process_of_its_own(priority):
    granted = ask_for_realtime(priority)
    policy, limit_us = os.sched_getscheduler(0), resource.getrlimit(resource.RLIMIT_RTTIME)[0]
    return granted, policy, limit_us


def _ask(priority):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_a_process_of_its_own, [priority])


def test_it_is_granted_with_a_limit_for_runaways_or_refused_without_a_trace():
    granted, policy, limit_us = _ask(1)
    expected = (os.SCHED_RR, RUNAWAY_US) if granted else (os.SCHED_OTHER, resource.RLIM_INFINITY)
    assert (policy, limit_us) == expected


def test_zero_asks_for_nothing():
    assert _ask(0)[:2] == (False, os.SCHED_OTHER)


def test_a_system_that_does_not_permit_it_is_no_error(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(realtime.os, "sched_setscheduler", refuse)
    assert ask_for_realtime(10) is False
