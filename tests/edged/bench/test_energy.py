"""Energy, on computers as they were recorded: counters that start over, and `tegrastats` of four boards."""

import os
import queue

import pytest

from edged.bench import energy
from edged.bench.energy import Powercap, Span, Tegrastats, find_meter, measured, module_rails, powercap_zones
from edged.doctor.finding import Host

ORIN_NX = (
    "11-05-2024 10:12:01 RAM 2448/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729,off,off] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] NVDEC off NVJPG off VIC off OFA off APE 200 cpu@46.2C soc2@45.3C "
    "tj@47.9C gpu@47C VDD_IN 4787mW/4790mW VDD_CPU_GPU_CV 559mW/559mW VDD_SOC 1396mW/1396mW"
)
AGX_ORIN = (
    "RAM 3300/30588MB (lfb 5x4MB) CPU [0%@2201] GR3D_FREQ 0% VDD_GPU_SOC 3200mW/3200mW VDD_CPU_CV 800mW/800mW "
    "VIN_SYS_5V0 4100mW/4100mW VDDQ_VDD2_1V8AO 600mW/600mW"
)
AGX_XAVIER = "RAM 1/31927MB CPU 1236/1236 GPU 154/154 CV 0/0 SOC 1390/1390 VDDRQ 463/463 SYS5V 2240/2240"
NANO = "RAM 1/3964MB IRAM 0/252kB(lfb 252kB) GR3D_FREQ 0%@76 POM_5V_IN 2532/2530 POM_5V_GPU 41/41 POM_5V_CPU 495/495"


@pytest.mark.parametrize(
    ("line", "milliwatts"),
    [(ORIN_NX, 4787), (AGX_ORIN, 8100), (AGX_XAVIER, 5483), (NANO, 2532), ("RAM 1/2MB SWAP 0/1MB CPU [1%@729]", 0)],
)
def test_the_module_of_every_board(line, milliwatts):
    assert sum(module_rails(line).values()) == milliwatts


class Program:
    """A `tegrastats` that prints when it is told to."""

    def __init__(self):
        self.lines, self.ended = queue.Queue(), False

    def __call__(self, command):
        assert command[0] == "tegrastats"
        return self

    def __iter__(self):
        return iter(self.lines.get, None)

    def end(self):
        self.ended = True
        self.lines.put(None)


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def test_power_is_summed_up_over_time():
    program, clock = Program(), Clock()
    program.lines.put(ORIN_NX)
    meter = Tegrastats(program, clock)
    assert meter.source == "tegrastats (VDD_IN)"
    with measured(meter) as span:
        clock.now_s += 2.0
        program.lines.put(ORIN_NX.replace("VDD_IN 4787mW", "VDD_IN 10000mW"))
        program.lines.put("no power in this line")
        program.lines.put(None)
        meter._thread.join(5.0)
        clock.now_s += 1.0
    assert span.joules == pytest.approx(2.0 * 4.787 + 10.0)
    meter.close()
    assert program.ended


def test_a_tegrastats_without_power_tells_nothing(monkeypatch):
    monkeypatch.setattr(energy, "_FIRST_LINE_S", 0.01)
    program = Program()
    program.lines.put("RAM 1/2MB")
    meter = Tegrastats(program)
    assert meter.joules is None
    with measured(meter) as span:
        pass
    assert span.joules is None
    meter.close()


def zone(root, name, label, microjoules, most=1000_000_000):
    place = root / "sys/class/powercap" / name
    place.mkdir(parents=True)
    for file, value in (("name", label), ("energy_uj", microjoules), ("max_energy_range_uj", most)):
        (place / file).write_text(f"{value}\n", encoding="utf-8")
    return place


def test_processors_are_counted_once(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:1", "psys", 1)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1)
    assert powercap_zones(Host(tmp_path)) == ([package], "")


def test_counters_may_start_over(tmp_path):
    place = zone(tmp_path, "intel-rapl:0", "package-0", 999_000_000)
    meter, reason = find_meter(Host(tmp_path))
    assert isinstance(meter, Powercap)
    assert (meter.source, reason) == ("powercap (package-0)", "")
    with measured(meter) as span:
        (place / "energy_uj").write_text("4000000\n", encoding="utf-8")
    assert span.joules == pytest.approx(5.0)
    meter.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_counters_that_only_root_may_read_are_told_of(tmp_path):
    (zone(tmp_path, "intel-rapl:0", "package-0", 1) / "energy_uj").chmod(0)
    assert find_meter(Host(tmp_path))[0] is None
    assert "sudo" in find_meter(Host(tmp_path))[1]


def test_refused_counters_are_no_meter(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", "nonsense")
    monkeypatch.setattr(energy.shutil, "which", lambda _: None)
    assert find_meter(Host(tmp_path)) == (None, "intel-rapl:0 tells no energy")


def test_without_anything_that_measures(tmp_path, monkeypatch):
    monkeypatch.setattr(energy.shutil, "which", lambda _: None)
    meter, reason = find_meter(Host(tmp_path))
    assert meter is None
    assert "neither" in reason
    with measured(meter) as span:
        pass
    assert (span.joules, span.watts) == (None, None)
    assert Span(2.0, 10.0).watts == 5.0


def test_a_program_of_the_system_is_read_and_ended():
    program = energy.Program(["sh", "-c", f"echo '{NANO}'; exec sleep 60"])
    assert module_rails(next(iter(program))) == {"POM_5V_IN": 2532}
    program.end()
    assert program._process.returncode is not None
