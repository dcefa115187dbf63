import logging
import os
import re
import subprocess
import sys

from edged.observe.logs import BURST, WINDOW_S, RateLimit


def record(message="lost %d", number=0):
    return logging.LogRecord("edged.x", logging.WARNING, "", 0, message, (number,), None)


def test_a_flood_is_held_back_counted_and_told_once():
    """A flood of overrun lines once filled SD cards."""
    now_s = [0.0]
    limit = RateLimit(lambda: now_s[0])
    passed = [limit.filter(record(number=n)) for n in range(1000)]
    assert sum(passed) == BURST
    assert limit.filter(record("something else %d"))
    now_s[0] = WINDOW_S
    late = record(number=7)
    assert limit.filter(late)
    assert late.getMessage() == f"lost 7 ({1000 - BURST} more like this were held back)"


def test_memory_is_bounded_whatever_is_logged():
    limit = RateLimit(lambda: 0.0)
    for number in range(5000):
        limit.filter(record(f"unique {number} %d"))
    assert len(limit._windows) <= 500


def test_times_are_utc_and_say_so():
    """They were local, without a zone, beside events in UTC."""
    script = "import logging; from edged.observe.logs import set_up_logging; set_up_logging(); logging.warning('x')"
    environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    said = {}
    for zone in ("Asia/Tokyo", "UTC"):
        done = subprocess.run([sys.executable, "-c", script], env=environment | {"TZ": zone}, capture_output=True,
                              text=True, check=True)  # fmt: skip
        said[zone] = done.stderr
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING root: x$", done.stderr)
    assert said["Asia/Tokyo"][:13] <= said["UTC"][:13]  # the same hour, not nine later
