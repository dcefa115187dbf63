"""A small anomaly bundle, clips of normal sound, a plant to watch, and the command line."""

import pytest
import soundfile

from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.integration.helpers import RATE_HZ, Plant, hum, write_small_bundle


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture(scope="session")
def normal_clips(tmp_path_factory):
    directory = tmp_path_factory.mktemp("normal")
    for seed in range(12):
        soundfile.write(directory / f"{seed}.wav", hum(3.0, seed), RATE_HZ, subtype="FLOAT")
    return directory


@pytest.fixture
def plant(tmp_path, small_bundle):
    return Plant(tmp_path, small_bundle)
