"""On what a run was trained: machine and versions, for whoever wants the same numbers again."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from trainer.files import write_whole

ENVIRONMENT = "environment.json"
PACKAGES = ("edged", "torch", "lightning", "numpy", "onnx", "onnxruntime")
KEPT_STARTS = 100
"""Of a run that is resumed again and again."""


def environment() -> dict[str, Any]:
    """This machine and its software now."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def add_environment(path: Path) -> None:
    """Note this start of a run beside the earlier ones."""
    write_whole(path, json.dumps([*_earlier(path), environment()][-KEPT_STARTS:], indent=1).encode())


def _earlier(path: Path) -> list[Any]:
    """None, where the file does not hold any: what a run was trained on before is worth no refusal."""
    try:
        starts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return starts if isinstance(starts, list) else []


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """The model's name where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
