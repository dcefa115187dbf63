"""What goes into every machine under test."""

import pytest
import soundfile

from tests.deploy.wheels import wheels_of_this_tree
from tests.integration.helpers import RATE_HZ, hum


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sounds")
    for seed in range(4):
        soundfile.write(directory / f"{seed}.wav", hum(10.0, seed), RATE_HZ)
    return directory


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    return wheels_of_this_tree(tmp_path_factory.mktemp("build") / "wheels")
