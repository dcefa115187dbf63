"""edged on arm64, without such a computer: the CPU path, run by qemu in a Debian tree and compared with this computer.

The wheels for arm64 are unpacked here, since an emulated pip takes minutes. EDGED_ARM64_TEST=package also builds the
Debian package in the tree and installs it there.

Takes minutes, and root: EDGED_ARM64_TEST=1 .venv-test/bin/python -m pytest -s tests/deploy/test_arm64.py
"""

import json
import os
import shutil
import sys
import time

import numpy as np
import pytest
import soundfile

from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from tests.deploy.foreign import arm64_packages, arm64_wheels, foreign, why_not
from tests.deploy.wheels import REPOSITORY, done, own_wheel
from tests.integration.helpers import RATE_HZ, hum

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=f"no arm64 here: {why_not()}"),
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("arm64"),
]

CONFIG = """
state_dir: /srv/state
devices: {hall: {source: file, path: /srv/heard.wav}}
streams: {press-3: {device: hall, channel: 0, monitors: [anomaly, keyword]}}
"""
WORD = "maintenance"
TOLERANCE = 1e-3  # both work in float32, but not with the same instructions
MODULE = "edged/features/test_keyword.py"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Normal clips, a word's clips, and what is scored: the machine, its fault, the word."""
    directory = tmp_path_factory.mktemp("sounds")
    for part in ("normal", "word"):
        (directory / part).mkdir()
    for seed in range(3):
        soundfile.write(directory / f"normal/{seed}.wav", hum(10.0, seed), RATE_HZ)
    rng = np.random.default_rng(0)
    words = [word_in_noise(name, rng) for name in (*ENROLMENT_CLIPS, f"{WORD}-1")]
    for number, word in enumerate(words[:-1]):
        soundfile.write(directory / f"word/{number}.wav", word, RATE_HZ)
    soundfile.write(
        directory / "heard.wav", np.concatenate([hum(10.0, 7), hum(10.0, 7, fault=True), words[-1]]), RATE_HZ
    )
    return directory


def word_in_noise(name, rng):
    pause = np.zeros(RATE_HZ // 2, np.float32)
    spoken = np.concatenate([pause, 0.05 * spoken_clip(name), pause])
    return spoken + 1e-4 * rng.standard_normal(len(spoken)).astype(np.float32)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return own_wheel(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory, wheel):
    """edged and pytest with all they need, and a module of tests."""
    directory = tmp_path_factory.mktemp("packages")
    arm64_packages(directory, f"{wheel}[microphone,mqtt]", "pytest", "pytest-timeout", "hypothesis")
    for name in ("conftest.py", MODULE):
        (directory / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "tests" / name, directory / "tests" / name)
    return directory


@pytest.fixture(scope="module")
def machine(tmp_path_factory, packages, sounds):
    with foreign(tmp_path_factory.mktemp("changes"), packages, sounds) as made:
        yield made


@pytest.fixture(scope="module")
def python(machine, packages):
    """Run Python there; whatever comes of it."""
    path = f"PYTHONPATH=/shared/{packages.name}"
    return lambda *arguments: machine.run("env", path, "python3", *arguments)


@pytest.fixture(scope="module")
def edged(python):
    """Run a command there that must succeed; what it prints."""

    def run(*arguments):
        ended = python("-m", "edged.cli.main", *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


def timed(what, act):
    started_s = time.monotonic()
    found = act()
    print(f"{what}: {time.monotonic() - started_s:.1f} s")
    return found


def test_it_is_arm64_that_runs(machine, python):
    assert machine.call("uname", "-m") == "aarch64"
    code = "import sys, numpy, onnxruntime; print(sys.version.split()[0], numpy.__version__, onnxruntime.__version__)"
    told = timed("import", lambda: python("-c", code))
    assert told.returncode == 0, told.stderr
    print("Python, numpy, ONNX Runtime:", told.stdout.strip())


def test_a_configuration_is_checked(machine, python, edged):
    good, bad = "/srv/good.yaml", "/srv/bad.yaml"
    machine.write(good, CONFIG)
    machine.write(bad, "streams: 7\n")
    timed("edged check-config", lambda: edged("check-config", good))
    assert python("-m", "edged.cli.main", "check-config", bad).returncode == 78


def test_devices_are_looked_for(edged):
    assert "List audio inputs" in timed("edged devices --help", lambda: edged("devices", "--help"))
    assert isinstance(json.loads(edged("devices", "--json")), list)  # PortAudio is there, a sound card is not


def heard(edged, sounds, state):
    """What `edged score` says of the same sound after the same enrolment: its events, and every segment's score."""
    common = ("--stream", "press-3", "--state", state)
    timed("edged enroll", lambda: edged("enroll", "--clips", f"{sounds}/normal", *common))
    timed("edged enroll --keyword", lambda: edged("enroll", "--clips", f"{sounds}/word", "--keyword", WORD, *common))
    say = ("score", "--jsonl", *common, f"{sounds}/heard.wav")
    answers = timed("edged score", lambda: edged(*say)), timed("edged score --scores", lambda: edged(*say, "--scores"))
    return [[json.loads(line) for line in answer.splitlines()] for answer in answers]


def test_events_and_scores_are_those_of_this_computer(edged, sounds, tmp_path):
    here = heard(lambda *command: done(sys.executable, "-m", "edged.cli.main", *command), sounds, tmp_path / "state")
    there = heard(edged, f"/shared/{sounds.name}", "/srv/state")
    assert {event["monitor"] for event in here[0]} == {"anomaly", "keyword"}
    for mine, theirs in zip(here, there, strict=True):
        assert [without_figures(one) for one in mine] == [without_figures(one) for one in theirs]
        for name in ("score", "threshold"):
            figures = np.array([[one[name] for one in rows] for rows in (mine, theirs)])
            print(f"{name}: {figures[0].round(4)} here, differences {np.abs(figures[0] - figures[1]).max():.2g}")
            np.testing.assert_allclose(*figures, rtol=TOLERANCE, atol=TOLERANCE)


def without_figures(row):
    others = {"file", "score", "threshold", "discount", "details"}
    return {name: value for name, value in row.items() if name not in others}


def test_a_module_of_tests_passes(python, packages):
    place = f"/shared/{packages.name}"
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", place)
    told = timed(MODULE, lambda: python("-m", "pytest", *options, f"{place}/tests/{MODULE}"))
    assert told.returncode == 0, told.stdout + told.stderr
    print(told.stdout.splitlines()[-1])


@pytest.mark.skipif(os.environ.get("EDGED_ARM64_TEST") != "package", reason="takes long: EDGED_ARM64_TEST=package")
def test_the_package_is_built_and_installed(tmp_path_factory, source, wheel):
    wheels = tmp_path_factory.mktemp("wheels")
    shutil.copy(wheel, wheels)
    arm64_wheels(wheels, f"{wheel}[microphone,mqtt]")
    with foreign(tmp_path_factory.mktemp("changes"), wheels, source) as machine:
        build = (f"/shared/{source.name}/deploy/build-deb.sh", "--offline", f"/shared/{wheels.name}", "--out", "/dist")
        timed("build-deb.sh", lambda: machine.call(*build, "--compression", "none"))
        timed("dpkg --install", lambda: machine.call("sh", "-c", "dpkg --install /dist/edged_*_arm64.deb"))
        facts = machine.call("dpkg-query", "--show", "--showformat=${Architecture} ${db:Status-Status}", "edged")
        assert facts == "arm64 installed"
        assert machine.call("dpkg", "--verify", "edged") == ""
        assert machine.call("edged", "--version").startswith("edged")
