"""What is told of computers of other kinds than the one that runs the tests: from their files, as they are there."""

import os

import pytest

from edged.bench import machine
from edged.bench.machine import board, cpu_model, machine_facts, memory_mib, power_mode, usable_cores, versions
from edged.doctor.finding import Host

ARM_CPUINFO = "processor\t: 0\nBogoMIPS\t: 62.50\nCPU part\t: 0xd42\n\nprocessor\t: 1\nCPU part\t: 0xd42\n"
NVPMODEL = "NV Power Mode: 15W\n0\n"
ORIN_RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def host(root, files=None, answers=None):
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Host(root, lambda command: (answers or {}).get(command[0]))


def test_a_jetson(tmp_path):
    orin = host(
        tmp_path,
        {
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0", "proc/cpuinfo": ARM_CPUINFO,
            "proc/meminfo": "MemTotal:        7802888 kB\nMemAvailable:    6000000 kB\n",
            "etc/nv_tegra_release": ORIN_RELEASE,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        },
        {"nvpmodel": (0, NVPMODEL)},
    )  # fmt: skip
    facts = machine_facts(orin)
    assert facts["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["cpu"].endswith("part 0xd42")
    assert (facts["memory_mib"], memory_mib(orin, "MemAvailable")) == (7620, 5859)
    assert (facts["power_mode"], facts["governor"]) == ("15W", "schedutil")
    assert facts["versions"]["l4t"] == "R36.4.3"


def test_a_computer_that_tells_nothing(tmp_path):
    facts = machine_facts(host(tmp_path))
    assert (facts["board"], facts["power_mode"], facts["governor"], facts["memory_mib"]) == ("", "", "", 0)
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert "l4t" not in facts["versions"]


def test_this_computer():
    facts = machine_facts(Host())
    assert facts["cpu"]
    assert facts["memory_mib"] > 100
    assert {"edged", "python", "numpy", "onnxruntime"} <= set(facts["versions"])


def test_a_failing_nvpmodel_is_no_power_mode(tmp_path):
    assert power_mode(host(tmp_path, answers={"nvpmodel": (1, "NV Power Mode: MAXN")})) == ""


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 4.0), ("150000 100000", 1.5), ("900000 100000", 4.0), ("", 4.0)]
)
def test_a_container_may_use_fewer_cores(tmp_path, monkeypatch, quota, expected):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert usable_cores(host(tmp_path, {"sys/fs/cgroup/cpu.max": quota})) == expected


def test_the_first_of_several_processors_is_named(tmp_path):
    text = "processor\t: 0\nmodel name\t: Big: Core\n\nprocessor\t: 1\nmodel name\t: Little\n"
    assert cpu_model(host(tmp_path, {"proc/cpuinfo": text})) == "Big: Core"


def test_packages_that_are_not_there_are_left_out(tmp_path):
    assert "tensorrt" not in versions(host(tmp_path)) or pytest.importorskip("tensorrt")
    assert board(host(tmp_path)) == ""
