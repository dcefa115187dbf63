import logging

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
