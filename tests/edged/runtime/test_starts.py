"""Counting starts that did not last: from one process to the next, and never at the cost of a start."""

import pytest

from edged.config import Config
from edged.runtime.starts import MAX_ERROR_CHARACTERS, RECORD_NAME, Starts


class Uptime:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def uptime():
    return Uptime()


@pytest.fixture
def start(tmp_path, uptime):
    """A process that begins: why it would be one too many, or None."""

    def begin(boot="a", **settings):
        config = Config(state_dir=tmp_path, service={"crash_limit": 3, "crash_window_s": 100.0}, **settings)
        begin.starts = Starts(config, uptime, boot)
        return begin.starts.begin()

    return begin


def test_the_start_after_too_many_is_in_safe_mode_and_says_why(start, uptime):
    for _ in range(3):
        assert start() is None
        start.starts.failed("thread worker died: no room")
        uptime.now_s += 10
    loop = start()
    assert (loop.reason, loop.last_error) == (
        "the last 3 starts within 100 s did not last", "thread worker died: no room",
    )  # fmt: skip
    assert "edged restart" in str(loop)
    assert start() is not None  # a safe mode that was killed is no start, and there is one again


def test_who_is_killed_leaves_no_word(start):
    start()
    start.starts.failed("an earlier one")
    start()
    start()
    assert "killed, out of memory" in start().last_error


def test_old_starts_are_forgotten(start, uptime):
    for _ in range(10):
        assert start() is None
        uptime.now_s += 34


def test_one_that_lasted_or_was_ended_clears_what_was_before(start):
    for _ in range(5):
        start()
        start()
        start.starts.forget()
    assert start() is None


def test_what_was_changed_gets_a_chance_of_its_own(start, monkeypatch):
    for _ in range(3):
        start()
    assert start() is not None
    assert start(use_gpu=False) is None
    for _ in range(2):
        start(use_gpu=False)
    assert start(use_gpu=False) is not None
    monkeypatch.setattr("edged.runtime.starts.__version__", "another")
    assert start(use_gpu=False) is None


def test_a_reboot_begins_anew(start, uptime):
    for _ in range(3):
        start()
    uptime.now_s = 5.0
    assert start("b") is None
    uptime.now_s = 1.0  # a container that was moved: times of the future say nothing
    assert start("b") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"started_s": [1e999]}', b'{"started_s": [-1]}', b'{"other": 1}', b"[" * 100_000,
     b'{"started_s": [' + b"1," * 1000 + b"1]}", b" " * (1 << 20) + b"{}"],
)  # fmt: skip
def test_a_record_that_cannot_be_used_costs_the_count_not_the_start(start, tmp_path, content):
    (tmp_path / RECORD_NAME).write_bytes(content)
    assert [start() is None for _ in range(4)] == [True, True, True, False]


def test_a_disk_that_refuses_costs_the_count_not_the_start(start, tmp_path, caplog):
    (tmp_path / RECORD_NAME).mkdir()
    for _ in range(5):
        assert start() is None
        start.starts.failed("x")
        start.starts.forget()
    assert "starts cannot be counted" in caplog.text


def test_whatever_a_library_says_can_be_kept(start):
    for _ in range(3):
        start()
    start.starts.failed("\udc80\0" + "x" * 5000)
    loop = start()
    assert loop.last_error.startswith("\\udc80")
    assert len(loop.last_error) <= MAX_ERROR_CHARACTERS


def test_nothing_half_written_is_left(start, tmp_path):
    start()
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_NAME]
