"""udev's own reading of the example rules."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).resolve().parents[2] / "deploy/udev/70-edged-microphones.rules"
# a directory of rules for this one process
READ = """mkdir -p /run/udev && mount -t tmpfs tmpfs /run/udev && mkdir /run/udev/rules.d
cp "$1" /run/udev/rules.d/ && exec udevadm --debug test /sys/class/mem/null"""

pytestmark = [
    pytest.mark.skipif(not shutil.which("udevadm"), reason="udevadm is missing (apt install udev)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can show rules to udev"),
]


def said_of(rules):
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", READ, "read", rules], capture_output=True, text=True, check=False
    )
    about = [line for line in (done.stdout + done.stderr).splitlines() if rules.name in line]
    if not about:
        pytest.skip(f"udevadm cannot be run here: {done.stderr}")
    return [line for line in about if not line.startswith("Reading rules file")]


def test_the_example_rules_are_read_without_complaint():
    assert said_of(RULES) == []


def test_a_fault_would_be_noticed(tmp_path):
    broken = tmp_path / RULES.name
    broken.write_text(RULES.read_text(encoding="utf-8").replace("KERNELS==", "CARNELS=="), encoding="utf-8")
    assert "CARNELS" in said_of(broken)[0]


def test_names_fit_into_what_alsa_takes():
    names = re.findall(r'ATTR\{id\}="([^"]*)"', RULES.read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) == 3
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,14}", name) for name in names)
