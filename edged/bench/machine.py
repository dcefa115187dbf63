"""What computer this is, and how it is set up: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from edged import __version__
from edged.compile.hardware import parsed_l4t
from edged.doctor.finding import Host

_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "soxr", "pyzmq", "tensorrt", "pycuda")
_MODE = re.compile(r"NV Power Mode:\s*(\S+)")


def machine_facts(host: Host) -> dict[str, Any]:
    """The computer, its power mode, and the versions of what runs on it."""
    return {
        "board": board(host),
        "cpu": cpu_model(host),
        "cores": usable_cores(host),
        "architecture": platform.machine(),
        "memory_mib": memory_mib(host, "MemTotal"),
        "gpu": gpu_name(),
        "power_mode": power_mode(host),
        "governor": _text(host, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "versions": versions(host),
    }


def board(host: Host) -> str:
    """The maker's name of an ARM board, ``NVIDIA Jetson Orin Nano``; empty elsewhere."""
    return _text(host, "proc/device-tree/model").rstrip("\0")


def cpu_model(host: Host) -> str:
    """The processor's name; ARM's kernels tell only a part number."""
    lines = dict(_pairs(_text(host, "proc/cpuinfo")))
    part = lines.get("CPU part", "")
    return lines.get("model name") or (f"{platform.machine()} part {part}" if part else platform.machine())


def usable_cores(host: Host) -> float:
    """Cores that this process may use: those it is bound to, less where a container gives less."""
    bound = float(len(os.sched_getaffinity(0)))
    quota, *period = _text(host, "sys/fs/cgroup/cpu.max").split() or ["max"]
    return min(bound, int(quota) / int(period[0])) if quota.isdigit() and period else bound


def memory_mib(host: Host, key: str) -> int:
    """A line of /proc/meminfo."""
    value = dict(_pairs(_text(host, "proc/meminfo"))).get(key, "0 kB")
    return int(value.split()[0]) // 1024


def gpu_name() -> str:
    """The first GPU's, where CUDA is installed; else empty."""
    try:
        from edged.embed.cuda import Device  # noqa: PLC0415 - not everywhere
        from edged.errors import AcceleratorError  # noqa: PLC0415
    except (ImportError, OSError):
        return ""
    try:
        device = Device()
    except AcceleratorError:
        return ""
    try:
        return f"{device.name}, compute capability {device.compute_capability}"
    finally:
        device.close()


def power_mode(host: Host) -> str:
    """A Jetson's, ``MAXN``; empty elsewhere."""
    answer = host.run(["nvpmodel", "-q"])
    mode = _MODE.search(answer[1]) if answer and answer[0] == 0 else None
    return mode[1] if mode else ""


def versions(host: Host) -> dict[str, str]:
    """Of edged, Python, its packages, the kernel and Jetson's system."""
    found = {"edged": __version__, "python": platform.python_version(), "kernel": platform.release()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    line = _text(host, "etc/nv_tegra_release").partition("\n")[0]
    return found | ({"l4t": parsed_l4t(line)} if line else {})


def _text(host: Host, path: str | Path) -> str:
    try:
        return (host.root / path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _pairs(text: str) -> list[tuple[str, str]]:
    """Lines of ``key : value``, the first of each key last, so that a dict keeps it."""
    pairs = (line.partition(":") for line in reversed(text.splitlines()))
    return [(key.strip(), value.strip()) for key, _, value in pairs]
