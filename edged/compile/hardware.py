"""What of this computer an engine is bound to."""

from __future__ import annotations

from pathlib import Path

from edged.compile.engines import Hardware
from edged.errors import AcceleratorError

_L4T_RELEASE = Path("/etc/nv_tegra_release")
_INSTALL = (
    "Jetson: sudo apt install nvidia-jetpack, then sudo deploy/install.sh again; elsewhere: pip install tensorrt pycuda"
)


def this_hardware() -> Hardware:
    """The GPU and its software, here and now.

    Raises:
        AcceleratorError: TensorRT, pycuda or the GPU is missing.
    """
    try:
        from edged.embed.tensorrt import version  # noqa: PLC0415 - not everywhere, and slow to load
    except (ImportError, OSError) as error:
        raise AcceleratorError(f"TensorRT cannot be loaded: {error}", fix=_INSTALL) from error
    from edged.embed.cuda import Device  # noqa: PLC0415

    device = Device()
    try:
        return Hardware(version(), device.driver_version, device.name, device.compute_capability, l4t_release())
    finally:
        device.close()


def l4t_release(path: Path = _L4T_RELEASE) -> str:
    """Jetson's system version, ``R36.4.3``; empty elsewhere."""
    try:
        line = path.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return ""
    return parsed_l4t(line)


def parsed_l4t(line: str) -> str:
    """From the first line of /etc/nv_tegra_release.

    >>> parsed_l4t("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64")
    'R36.4.3'
    """
    words = line.replace(",", " ").split()
    major = next((word for word in words if word.startswith("R") and word[1:].isdigit()), "")
    revision = words[words.index("REVISION:") + 1] if "REVISION:" in words[:-1] else ""
    return f"{major}.{revision}".strip(".")
