"""What all tests share: deterministic properties, and the real recordings where they are at hand."""

import edged  # noqa: F401, I001 - before numpy, as the commands do: as many BLAS threads as they have, so the same bits

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# a shell starts what runs in its background with SIGINT ignored, and every process started from here would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("edged", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("edged")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The pack of real recordings: $EDGED_DATA, else ../shared/data beside the repository."""
    directory = Path(os.environ.get("EDGED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not directory.is_dir():
        pytest.skip(f"no recordings at {directory}; set EDGED_DATA")
    return directory
