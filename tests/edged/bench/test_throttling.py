"""Whether a computer was slowed down or disturbed, from files as the kernel has them."""

import pytest

from edged.bench.throttling import between, look
from edged.doctor.finding import Host

STAT = "cpu  1000 0 500 90000 100 20 30 {stolen} 0 0\ncpu0 1 2 3\n"


@pytest.fixture
def root(tmp_path):
    files = {
        "proc/stat": STAT.format(stolen=7), "proc/self/schedstat": "5000000000 2000000000 99\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "51500\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n", "sys/class/thermal/thermal_zone1/temp": "-256000\n",
        "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
        "sys/class/thermal/cooling_device0/cur_state": "0\n",
        "sys/class/thermal/cooling_device1/type": "pwm-fan\n", "sys/class/thermal/cooling_device1/cur_state": "2\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "<unknown>\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_calm_computer_is_not_throttled_and_a_fan_is_no_throttling(root):
    before = look(Host(root))
    found = between(before, look(Host(root)))
    assert (found["throttle_counts"], found["cooling_at_work"]) == ({}, [])
    assert found["hottest_celsius"] == {"before": 51.5, "after": 51.5}
    assert found["core_mhz"]["after"] == 1510


@pytest.mark.parametrize(
    ("path", "text", "key", "expected"),
    [
        ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "9", "throttle_counts",
         {"cpu0/thermal_throttle/core_throttle_count": 5}),
        ("sys/class/thermal/cooling_device0/cur_state", "3", "cooling_at_work", ["cooling_device0/cur_state"]),
    ],
)  # fmt: skip
def test_counters_and_cooling_tell_of_throttling(root, path, text, key, expected):
    before = look(Host(root))
    (root / path).write_text(text, encoding="utf-8")
    found = between(before, look(Host(root)))
    assert found[key] == expected


def test_what_others_did_is_told_apart_from_our_own(root):
    before = look(Host(root))
    (root / "proc/stat").write_text("cpu  1300 0 500 90000 100 20 30 27 0 0\n", encoding="utf-8")  # 3 s more
    (root / "proc/self/schedstat").write_text("5000000000 2500000000 99\n", encoding="utf-8")
    after = look(Host(root))
    later = type(after)(**{**after.__dict__, "at_s": before.at_s + 2.0, "own_s": before.own_s + 1.0})
    found = between(before, later)
    assert found["others_busy_cores"] == pytest.approx(1.0)
    assert found["stolen_percent"] == pytest.approx(10.0)
    assert found["waited_percent"] == pytest.approx(25.0)


def test_a_kernel_that_tells_nothing(tmp_path):
    found = between(look(Host(tmp_path)), look(Host(tmp_path)))
    assert (found["throttle_counts"], found["cooling_at_work"]) == ({}, [])
    assert found["waited_percent"] is None
    assert found["hottest_celsius"] == {"before": None, "after": None}


def test_this_computer():
    before = look(Host())
    assert before.busy_s > 0
    assert between(before, look(Host()))["others_busy_cores"] >= 0
