from types import SimpleNamespace

from edged.runtime import watchdog as module
from edged.runtime.watchdog import Watchdog


def test_the_watchdog_is_fed_by_work_done_or_by_having_none(monkeypatch):
    fed = []
    monkeypatch.setattr(module, "notify", fed.append)
    monkeypatch.setattr(module, "watchdog_interval_s", lambda: 5.0)
    worker = SimpleNamespace(steps=0, has_work=True)
    watchdog = Watchdog(worker)
    watchdog.tick(0.0)
    assert len(fed) == 1
    watchdog.tick(1.0)
    assert len(fed) == 1
    worker.steps = 7
    watchdog.tick(5.0)
    assert len(fed) == 2
    watchdog.tick(10.0)  # work waits and nothing was done: stuck
    assert len(fed) == 2
    worker.has_work = False
    watchdog.tick(10.5)
    assert len(fed) == 3


def test_who_has_no_worker_feeds_it_as_long_as_its_main_loop_runs(monkeypatch):
    fed = []
    monkeypatch.setattr(module, "notify", fed.append)
    monkeypatch.setattr(module, "watchdog_interval_s", lambda: 5.0)
    watchdog = Watchdog(None)
    for now_s in (0.0, 1.0, 5.0, 10.0):
        watchdog.tick(now_s)
    assert len(fed) == 3
