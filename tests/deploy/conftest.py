"""What goes into every machine under test."""

import pytest
import soundfile

from tests.deploy.wheels import copy_of_source, wheels_of_this_tree
from tests.integration.helpers import RATE_HZ, hum


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sounds")
    for seed in range(4):
        soundfile.write(directory / f"{seed}.wav", hum(10.0, seed), RATE_HZ)
    return directory


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of this source: the tree may change while machines are tested for half an hour."""
    return copy_of_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def wheels(source):
    return wheels_of_this_tree(source, source.with_name("wheels"))
