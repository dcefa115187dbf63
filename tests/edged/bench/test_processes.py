"""/proc, beside psutil, which reads it too."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from edged.bench.processes import Memory, children_of, cpu_s, memory


@pytest.fixture
def child():
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # it has all the memory that it will have
        yield process
        process.kill()


def test_a_child_is_found_and_its_work_seen(child):
    assert child.pid in children_of(os.getpid())
    deadline_s = time.monotonic() + 20.0
    while cpu_s([child.pid]) < 0.2 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert cpu_s([child.pid]) == pytest.approx(sum(psutil.Process(child.pid).cpu_times()[:2]), abs=0.2)


def test_memory_is_what_psutil_sees(child):
    found, expected = memory(child.pid), psutil.Process(child.pid).memory_full_info()
    assert found.resident == pytest.approx(expected.rss / 2**20, abs=2.0)
    assert found.private == pytest.approx(expected.uss / 2**20, abs=2.0)
    assert found.peak >= found.resident


def test_who_ended_uses_nothing(child):
    child.kill()
    child.wait()
    assert cpu_s([child.pid]) == 0.0
    assert memory(child.pid) == Memory(0.0, 0.0, 0.0)


def test_kernels_that_count_coarsely(tmp_path):
    place = tmp_path / "77"
    place.mkdir()
    stat = "77 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0"
    (place / "stat").write_text(stat, encoding="utf-8")
    (place / "status").write_text("VmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\nThreads:\t1\n", encoding="utf-8")
    assert cpu_s([77], tmp_path) == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))
    assert memory(77, tmp_path) == Memory(2.0, 4.0, 2.0)
    assert children_of(1, tmp_path) == [77]
