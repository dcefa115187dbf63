"""Engines that `edged compile` made, one for each network, in the state directory.

    <state>/engines/<kind>-<network>/engine.json        what it is, for which device, and how it was found right
    <state>/engines/<kind>-<network>/<sha256>.plan      the engine itself
    <state>/engines/<kind>-<network>/refused.json       builds that gave no right engine, so that none is tried again
    <state>/engines/timing-<device>.cache               what TensorRT measured while building, for the next time

`engine.json` is replaced in one rename, after the plan it names is safely on the disk: whoever reads finds the old
engine or the new one. An engine is code for this very device; it is never taken from a bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edged import __version__
from edged.embed.bundle import Bundle
from edged.errors import AcceleratorError
from edged.files import give_to_owner, write_durably

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
ENGINES = "engines"
_RECORD, _REFUSED = "engine.json", "refused.json"
_MOST_REFUSED = 8
_MAX_RECORD_BYTES = 1 << 16
_MAX_PLAN_BYTES = 1 << 30
_MOST_REASON_CHARACTERS = 1000
_FIX = "build it again: `edged compile --force`"
_PLACE = re.compile(r"[a-z]+-[0-9a-f]{16}")


class _Refusal(BaseModel):
    """Of a build.

    Attributes:
        edged: the version that refused it: another one may build, or judge, otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edged: str
    reason: str


_REFUSALS = TypeAdapter(dict[str, _Refusal])


@dataclass(frozen=True)
class Hardware:
    """What an engine is bound to, besides its network: it runs on nothing else.

    Attributes:
        device: the GPU's name.
        l4t: Jetson's system version, or empty.
        cuda_driver: CUDA of the driver, 12060 for 12.6.
    """

    tensorrt: str
    cuda_driver: int
    device: str
    compute_capability: str
    l4t: str = ""

    def difference(self, other: Hardware) -> str:
        """What differs, for people; empty if nothing does.

        >>> orin = Hardware("10.3.0", 12060, "Orin", "8.7")
        >>> Hardware("8.6.2", 12020, "Orin", "8.7").difference(orin)
        'tensorrt 8.6.2 instead of 10.3.0, cuda_driver 12020 instead of 12060'
        """
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return ", ".join(f"{name} {mine} instead of {theirs}" for name, mine, theirs in pairs if mine != theirs)


class EngineRecord(BaseModel):
    """One installed engine.

    Attributes:
        network: `Bundle.vectors_digest`, everything that its vectors depend on.
        source: sha256 of the ONNX file it was built from.
        typing: ``strong`` or ``weak``.
        profile: batch sizes: least, best, most.
        settings: everything else the builder was told.
        parity: figures of the gate it passed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    network: str
    source: str
    precision: Precision
    typing: Literal["strong", "weak"]
    profile: tuple[int, int, int]
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict)
    hardware: Hardware
    plan_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    parity: dict[str, float] = Field(default_factory=dict)
    built_at: str = ""

    @property
    def label(self) -> str:
        """For people: ``TensorRT 10.3.0 fp16``."""
        return f"TensorRT {self.hardware.tensorrt} {self.precision}"

    @property
    def fingerprint(self) -> str:
        """sha256 of all that decides what the builder makes: equal ones need no second build."""
        facts = self.model_dump(mode="json", exclude={"plan_sha256", "parity", "built_at"})
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class EngineStore:
    """The engines of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / ENGINES

    def place(self, bundle: Bundle) -> Path:
        """Where a bundle's engine lies; bundles that differ in nothing that vectors depend on share it."""
        return self.directory / f"{bundle.manifest.kind}-{bundle.vectors_digest[:16]}"

    def record(self, bundle: Bundle) -> EngineRecord | None:
        """The installed engine's record, or None where there is no engine.

        Raises:
            AcceleratorError: the record cannot be read, or is another network's.
        """
        path = self.place(bundle) / _RECORD
        try:
            data = _read(path, _MAX_RECORD_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AcceleratorError(f"{path}: {error.strerror or error}", fix=_FIX) from error
        try:
            record = EngineRecord.model_validate_json(data)
        except ValidationError as error:
            raise AcceleratorError(f"{path}: {error.errors()[0]['msg']}", fix=_FIX) from error
        if record.network != bundle.vectors_digest:
            raise AcceleratorError(f"{path}: engine of another network", fix=_FIX)
        return record

    def plan(self, bundle: Bundle, record: EngineRecord) -> bytes:
        """The engine of a record.

        Raises:
            AcceleratorError: it is missing or altered.
        """
        path = self.place(bundle) / f"{record.plan_sha256}.plan"
        try:
            data = _read(path, _MAX_PLAN_BYTES)
        except OSError as error:
            raise AcceleratorError(f"{path}: {error.strerror or error}", fix=_FIX) from error
        if hashlib.sha256(data).hexdigest() != record.plan_sha256:
            raise AcceleratorError(f"{path}: altered", fix=_FIX)
        return data

    def install(self, bundle: Bundle, record: EngineRecord, plan: bytes) -> EngineRecord:
        """Put an engine in its place; the one before serves until this one is complete, and goes then.

        Raises:
            AcceleratorError: no room, or no right; the engine before stands.
        """
        place = self.place(bundle)
        digest = hashlib.sha256(plan).hexdigest()
        installed = record.model_copy(update={"plan_sha256": digest})
        try:
            _make(self.directory)
            _make(place)
            write_durably(place / f"{digest}.plan", plan)
            write_durably(place / _RECORD, (installed.model_dump_json(indent=1) + "\n").encode())
            for path in place.iterdir():
                if path.name not in {f"{digest}.plan", _RECORD, _REFUSED}:
                    path.unlink()
        except OSError as error:
            raise AcceleratorError(f"{place}: {error.strerror or error}", fix="make room, check its owner") from error
        return installed

    def refusal(self, bundle: Bundle, wanted: EngineRecord) -> str:
        """Why this edged found such an engine wrong when it had built one; empty if it never did."""
        known = self._refusals(bundle).get(wanted.fingerprint)
        return known.reason if known and known.edged == __version__ else ""

    def note_refusal(self, bundle: Bundle, wanted: EngineRecord, reason: str) -> None:
        """Remember it; without that, the next start builds it again.

        Raises:
            OSError: it cannot be written.
        """
        known = self._refusals(bundle)
        known.pop(wanted.fingerprint, None)
        known[wanted.fingerprint] = _Refusal(edged=__version__, reason=reason[:_MOST_REASON_CHARACTERS])
        _make(self.directory)
        _make(self.place(bundle))
        latest = dict(list(known.items())[-_MOST_REFUSED:])
        write_durably(self.place(bundle) / _REFUSED, _REFUSALS.dump_json(latest, indent=1))

    def _refusals(self, bundle: Bundle) -> dict[str, _Refusal]:
        """By fingerprint; what is damaged is as good as none: one build more."""
        try:
            return _REFUSALS.validate_json(_read(self.place(bundle) / _REFUSED, _MAX_RECORD_BYTES))
        except (OSError, ValidationError):
            return {}

    def remove_others(self, bundles: Sequence[Bundle]) -> list[str]:
        """Remove the engines of networks that none of these bundles has; their names.

        Raises:
            OSError: one cannot be removed.
        """
        kept = {self.place(bundle).name for bundle in bundles}
        others = [p for p in self.directory.glob("*-*") if _PLACE.fullmatch(p.name) and p.name not in kept]
        removed = [path for path in others if path.is_dir() and not path.is_symlink()]
        for path in removed:
            shutil.rmtree(path)
        return sorted(path.name for path in removed)

    def timing_cache(self, hardware: Hardware) -> bytes:
        """What was measured on this device before; empty if nothing was."""
        try:
            return _read(self._timing_path(hardware), _MAX_PLAN_BYTES)
        except OSError:
            return b""

    def keep_timing_cache(self, hardware: Hardware, data: bytes) -> None:
        """For the next build; without it that only takes longer. Those of other hardware are of no use any more.

        Raises:
            OSError: it cannot be written.
        """
        _make(self.directory)
        own = self._timing_path(hardware)
        write_durably(own, data)
        for path in self.directory.glob("timing-*.cache"):
            if path != own:
                path.unlink()

    def _timing_path(self, hardware: Hardware) -> Path:
        facts: Mapping[str, Any] = asdict(hardware)
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return self.directory / f"timing-{digest[:16]}.cache"


def _make(directory: Path) -> None:
    """A directory that the daemon can use, whoever makes it."""
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        give_to_owner(directory)


def _read(path: Path, limit_bytes: int) -> bytes:
    """A file that is no link, not larger than the limit."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as handle:
        data = handle.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(f"larger than {limit_bytes} bytes")
    return data
