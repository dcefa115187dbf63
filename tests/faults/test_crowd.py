"""Nine of ten subscribers lose nothing, and the publisher's memory stays bounded, whatever the tenth does."""

import pytest

from tests.faults.crash_points import fast_directory
from tests.faults.crowd import N_HEALTHY, Crowd, journal_size

FLOOD = 8_000
"""25 MB of text, eight times what the queue of one subscriber holds."""
MAX_GROWTH_MIB = 12


@pytest.mark.parametrize("behaviour", ["stalled", "slow", "vanished", "subscribes"])
def test_what_the_tenth_does_harms_nobody(behaviour):
    with fast_directory() as directory, Crowd(directory) as crowd:
        crowd.flood(2000)
        settled = crowd.publisher_rss
        crowd.tenth(behaviour)
        outcome = crowd.flood(FLOOD)
        grown_mib = (crowd.publisher_rss - settled) / 2**20
        assert outcome.holes == 0
        assert len(outcome.delays_ms) == N_HEALTHY * FLOOD
        assert grown_mib < (MAX_GROWTH_MIB if behaviour != "subscribes" else 120)  # 100,000 topics are kept in a tree
        assert journal_size(directory)[1] <= 4 << 20
