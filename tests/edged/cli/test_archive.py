"""`edged references export` and `import` as they are typed; what the last line says really undoes an import."""

import shlex

import pytest
import soundfile as sf

from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.fakes.sounds import RATE_HZ, machine


@pytest.fixture
def archive(edged, tmp_path):  # noqa: F811
    (tmp_path / "clips").mkdir()
    for seed in range(3):
        sf.write(tmp_path / "clips" / f"{seed}.wav", machine(10, seed), RATE_HZ)
    sender = ("--state", tmp_path / "sender")
    assert edged("enroll", "--clips", tmp_path / "clips", "--stream", "press", *sender).code == 0
    assert edged("references", "export", "--stream", "press", "--out", tmp_path / "bank", *sender).code == 0
    return tmp_path / "bank", edged("references", "signer", *sender).out.strip()


def advised(result):
    (line,) = (line for line in result.err.splitlines() if "undoes it" in line)
    return shlex.split(line.split("`")[1])[1:]


def test_what_an_import_says_undoes_it_does(edged, archive, tmp_path):  # noqa: F811
    # it said `rollback`, which is refused where nothing lies before the import
    path, signer = archive
    state = ("--state", tmp_path / "state")
    command = ("references", "import", path, "--stream", "saw", "--signer", signer, *state)
    first = edged(*command)
    assert "imported, version 1" in first.out
    assert "undoes it" not in edged(*command, "--dry-run").err
    assert advised(first)[:2] == ["references", "remove"]
    assert edged("references", "rollback", "--stream", "saw", *state).code == 1
    second = edged(*command)
    assert advised(second)[:2] == ["references", "rollback"]
    assert "version 1 is active" in edged(*advised(second), *state).out
    assert "nothing is enrolled now" in edged(*advised(first), *state).out
