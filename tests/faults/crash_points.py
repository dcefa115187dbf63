"""Every point at which an operation writes, and every way it can fail there.

A point is one operation on a prepared state directory whose n-th write, sync, truncation, rename or removal fails or
kills the process. Afterwards the state must hold exactly what it held before or exactly what an undisturbed run
leaves, and go on working.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from edged.assembly import Assembly
from edged.config import Config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.events.clips import ClipFolder, ClipOrigin
from edged.events.journal import Journal, read_journal
from edged.events.schema import AnomalyEvent, BundleRef
from edged.features.anomaly import AnomalySpec
from edged.references.enroll import enroll_paths
from edged.references.store import BankStore
from edged.references.transfer import export_bank
from edged.state import DATABASE_NAME

HERE = Path(__file__).parent
MODES = ("count", "kill before", "kill after", "kill torn", "no space once", "no space from there on",
         "I/O error once", "I/O errors from there on")  # fmt: skip
OPERATIONS = ("enroll", "rollback", "remove", "refit", "import", "feedback normal", "feedback anomaly")
RATE_HZ = 16000
EVENT_ID = "b1-3"


@dataclass(frozen=True)
class Point:
    """Attributes: has_reader: whether another process (the daemon) has the database open meanwhile."""

    operation: str
    mode: str
    n: int
    has_reader: bool


@dataclass
class Plant:
    """Prepared states and inputs, and the process that suffers."""

    root: Path
    library: Path
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bundle = _small_bundle(self.root)
        self.config = {"clips": {"keep_free_mib": 0}}
        monitors = {"anomaly": {"bundle": str(bundle)}}
        self.config |= {"devices": {"d": {"source": "microphone"}}}
        self.config |= {"streams": {"press": {"device": "d", "monitors": monitors}}}
        folders = {"first": range(6), "second": range(10, 13), "night": range(20, 23), "next": range(30, 33)}
        for folder, seeds in folders.items():
            _write_clips(self.root / folder, seeds)
        self.before = self.root / "before"
        self._prepare()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "victim.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "LD_PRELOAD": str(self.library), "PYTHONPATH": str(HERE.parents[1]),
                 "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self.calls = {(op, reader): self._undisturbed(op, reader) for op in OPERATIONS for reader in (False, True)}
        self.work = self.root / "work"

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def points(self) -> Iterator[Point]:
        """All of them."""
        for operation, has_reader in self.calls:
            yield from self.points_of(operation, has_reader)

    def points_of(self, operation: str, has_reader: bool) -> Iterator[Point]:
        """Those of one operation; it may be another than the usual ones."""
        if (operation, has_reader) not in self.calls:
            self.calls[operation, has_reader] = self._undisturbed(operation, has_reader)
        calls, _ = self.calls[operation, has_reader]
        for mode in MODES[1:]:
            needs_room = mode in {"kill torn", "no space once", "no space from there on"}
            for n, kind in enumerate(calls, 1):
                if kind == "+" or not needs_room:
                    yield Point(operation, mode, n, has_reader)

    def try_point(self, point: Point) -> str:
        """Suffer one point and check the state; what became of the operation."""
        answer, after = self._run(point)
        with BankStore(self.work) as store:
            active = store.active_version("press", "anomaly")
            versions = [version.version for version in store.versions("press", "anomaly")]
            store.load_active("press", "anomaly")
        was, becomes = content(self.before), self.calls[point.operation, point.has_reader][1]
        assert after in (was, becomes), f"{point}: neither the old nor the new state ({answer})"
        assert active in {0, *versions}, point
        assert [event["seq"] for event in read_journal(self.work)] == [1, 2, 3], point
        self._enrol_again(point, max(versions))
        is_new = after == becomes
        assert answer["outcome"] in {"done", "refused", "killed"}, f"{point}: {answer}"
        assert answer["outcome"] == "killed" or not point.mode.startswith("kill"), f"{point}: {answer}"
        assert is_new or answer["outcome"] != "done", f"{point}: said done, and the old state is there"
        return f"{answer['outcome']}, {'new' if is_new else 'old'} state"

    def _enrol_again(self, point: Point, newest: int) -> None:
        with BankStore(self.work) as store:
            report = enroll_paths(self._assembly(self.work), store, "press", [self.root / "next"], domain="night")
        assert report["version"] == newest + 1, point

    def _run(self, point: Point) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        state = self.work if hasattr(self, "work") else self.root / "undisturbed"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(self.before, state)
        reader = BankStore(state) if point.has_reader else None
        answer = self._ask(state, point)
        if reader is not None:
            reader.close()
        return answer, content(state)

    def _ask(self, state: Path, point: Point) -> dict[str, Any]:
        arguments = {
            "config": self.config, "clips": str(self.root / "night"), "archive": str(self.root / "bank.zip"),
            "event": EVENT_ID,
        }  # fmt: skip
        job = {"state": str(state), "operation": point.operation, "mode": MODES.index(point.mode), "n": point.n}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job | {"arguments": arguments}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def _undisturbed(self, operation: str, has_reader: bool) -> tuple[str, dict[str, list[Any]]]:
        """Which calls an operation makes, and what it leaves."""
        answer, after = self._run(Point(operation, "count", 0, has_reader))
        assert answer["outcome"] == "done", f"{operation}: {answer}"
        assert after != content(self.before), operation
        return answer["calls"], after

    def _prepare(self) -> None:
        """Two versions, a journal of three events of which the last has its sound, and an archive to import."""
        with BankStore(self.before) as store:
            for folder in ("first", "second"):
                enroll_paths(self._assembly(self.before), store, "press", [self.root / folder], domain="source")
            _refittable(store)
            export_bank(store, self.before, "press", "anomaly", self.root / "bank.zip")
        sound = hum(4.0, 40, whine=0.02)
        ClipFolder(self.before, self._assembly(self.before).config.clips).write(
            "press/a.flac", sound, ClipOrigin("press", "anomaly", "b1", 0, 0)
        )
        journal = Journal(self.before, 100)
        journal.append([(_event(seq), seq) for seq in (1, 2, 3)])
        journal.close()

    def _assembly(self, state: Path) -> Assembly:
        return Assembly(Config.model_validate({**self.config, "state_dir": state}))


def content(state: Path) -> dict[str, list[Any]]:
    """Every row of every table: what must be the old or the new; empty tables count as absent."""
    connection = sqlite3.connect(state / DATABASE_NAME)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    sql = "SELECT * FROM {}"
    rows = {name: sorted(connection.execute(sql.format(name)).fetchall(), key=repr) for name in sorted(names)}
    connection.close()
    return {name: found for name, found in rows.items() if found}


def compiled_library(directory: Path) -> Path | None:
    """The library of faults, or None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = directory / "faultio.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "faultio.c"), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


@contextmanager
def fast_directory() -> Iterator[Path]:
    """A directory in memory where there is one: the kernel sees the same calls, and a sync costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield Path(directory)


def hum(seconds: float, seed: int, whine: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 12))
    sound = 0.05 * np.asarray(sound) + 0.02 * rng.standard_normal(len(t)) + whine * np.sin(2 * np.pi * 3100 * t)
    return np.asarray(sound, np.float32)


def _write_clips(directory: Path, seeds: Any) -> None:
    directory.mkdir()
    for seed in seeds:
        soundfile.write(directory / f"{seed}.wav", hum(3.0, seed), RATE_HZ, subtype="FLOAT")


def _small_bundle(root: Path) -> Path:
    """Segments of 1 s, scored by statistics alone: quick to enrol."""
    spec = AnomalySpec(segment_samples=16000, hop_samples=8192, inputs=(), n_mels=32, statistics={"mean": ("mean",)})
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="mean", source="features", dim=32, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(root / "bundle", manifest).directory


def _event(seq: int) -> AnomalyEvent:
    return AnomalyEvent(
        kind="onset", boot="b1", time="2026-01-31T13:00:00Z", stream="press", sample_start=16000, sample_end=48000,
        onset_s=1.0, score=9.0, threshold=5.0, bundle=BundleRef(id="small", digest="d"), bank=2, seq=seq,
        id=f"b1-{seq}", clip="press/a.flac" if seq == 3 else None,
    )  # fmt: skip


def _refittable(store: BankStore) -> None:
    """A third version with another threshold, as an older edged may have fitted it: so that a refit has work to do."""
    stored = store.load_active("press", "anomaly")
    assert stored is not None
    facts = {**stored.facts, "threshold": stored.facts["threshold"] + 0.25}
    store.commit("press", "anomaly", facts, stored.arrays, reason="fitted otherwise", based_on=stored.version)


def main() -> int:
    """Try every point, and print what became of the operations: ``python -m tests.faults.crash_points``."""
    with fast_directory() as directory:
        library = compiled_library(directory)
        if library is None:
            sys.stderr.write("no C compiler (cc, gcc, clang): apt install gcc\n")
            return 1
        plant = Plant(directory, library)
        points = list(plant.points())
        outcomes: Counter[str] = Counter()
        for number, point in enumerate(points):
            outcomes[f"{point.mode}: {plant.try_point(point)}"] += 1
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{number + 1} of {len(points)}")
        plant.close()
    print(f"{len(points)} points")
    for (operation, has_reader), (calls, _) in plant.calls.items():
        print(f"{len(calls):5d}  calls of {operation}{' beside a reader' if has_reader else ''}")
    for outcome, times in sorted(outcomes.items()):
        print(f"{times:5d}  {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
