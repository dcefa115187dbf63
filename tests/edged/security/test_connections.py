import os
from pathlib import Path

from edged.security.connections import cut


def test_what_is_no_connection_is_left_alone_and_costs_no_descriptor(tmp_path):
    """Each number that meanwhile belonged to a file left a copy of it open."""
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    try:
        assert not cut(descriptor)
        assert len(list(Path("/proc/self/fd").iterdir())) == n_open
    finally:
        os.close(descriptor)
