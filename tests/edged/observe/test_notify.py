import socket

from edged.observe.notify import READY, notify, watchdog_interval_s, watchdog_limit


def test_nobody_listens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify(READY)


def test_states_arrive_at_the_service_manager(monkeypatch, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert notify(READY, "STATUS=listening")
        assert manager.recv(100) == b"READY=1\nSTATUS=listening"


def test_a_manager_that_is_gone_is_no_trouble(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify(READY)


def test_the_watchdog_wants_to_hear_at_half_its_limit(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_interval_s() == 5.0
    assert (watchdog_limit(), watchdog_limit(120.0)) == (("WATCHDOG_USEC=10000000",), ("WATCHDOG_USEC=120000000",))
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval_s() is None
    assert watchdog_limit(120.0) == ()
