"""The demo from start to end: make a scene, enrol, run the daemon on it, watch, judge."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from edged.demo.commands import Daemon, start_enrolment
from edged.demo.live import LiveView
from edged.demo.outcome import Row, judged
from edged.demo.record import Record
from edged.demo.scene import Scene, drawn_scene
from edged.demo.timeline import HALL, KEYWORD, MACHINES
from edged.demo.view import PlainView, SilentView, View, plain_console
from edged.demo.watch import Watch
from edged.demo.workspace import (
    SOURCE_LABEL,
    WORD_LABEL,
    Workspace,
    write_clips,
    write_configuration,
    write_scene,
)
from edged.errors import UsageError
from edged.events.subscriber import Subscriber


def run_demo(*, speed: float, seed: int, keep: Path | None, plain: bool, as_json: bool) -> int:
    """Run it; 0 if everything that it announces happened, 1 else.

    Args:
        keep: directory that keeps the audio, the state and the daemon's log.

    Raises:
        DemoError: a part could not run at all.
    """
    scene = drawn_scene(seed)
    view = _chosen_view(scene, speed, plain=plain, as_json=as_json)
    with _sigterm_as_ctrl_c(), _workspace(keep) as workspace, view:
        started = time.monotonic()
        _prepare(workspace, scene, speed, view)
        record = _watched(workspace, scene, view)
        rows = judged(scene.timeline, record)
        wall_s = time.monotonic() - started
        view.finish(rows, wall_s)
    if as_json:
        sys.stdout.write(json.dumps(_report(scene, record, rows, wall_s), indent=2) + "\n")
    return 0 if all(row.good for row in rows) else 1


def _prepare(workspace: Workspace, scene: Scene, speed: float, view: View) -> None:
    """Before the daemon runs: enrol both machines' normal sound and the word, and make the scene meanwhile."""
    view.step("making the clips that an engineer would have recorded")
    write_configuration(workspace, speed)
    write_clips(workspace, scene)
    enrolments = [start_enrolment(workspace, stream, SOURCE_LABEL, "--source") for stream in MACHINES]
    enrolments.append(start_enrolment(workspace, HALL, WORD_LABEL, "--keyword", KEYWORD))
    try:
        for enrolment in enrolments:
            view.step(f"$ {enrolment.command}")
        view.step(f"making {scene.timeline.duration_s / 60:.1f} minutes of a plant hall, seed {scene.seed}")
        write_scene(workspace, scene)
        for enrolment in enrolments:
            report = enrolment.report()
            view.step(f"{enrolment.stream}: {report['added_clips']} clips enrolled, bank {report['version']}")
    finally:
        for enrolment in enrolments:
            enrolment.end()


def _watched(workspace: Workspace, scene: Scene, view: View) -> Record:
    """What the daemon said about the whole scene."""
    view.step("$ edged run --config edged.yaml")
    with Daemon(workspace) as daemon:
        daemon.wait_until_publishing()
        endpoints = (workspace.events_endpoint, workspace.control_endpoint)
        with Subscriber(endpoints[0], control_endpoint=endpoints[1], after_seq=0) as subscriber:
            return Watch(workspace, scene.timeline, view).record_of(subscriber, daemon)


def _chosen_view(scene: Scene, speed: float, *, plain: bool, as_json: bool) -> View:
    if as_json:
        return SilentView()
    terminal = Console()
    if plain or not terminal.is_terminal or terminal.is_dumb_terminal or terminal.options.ascii_only:
        return PlainView(plain_console())
    return LiveView(terminal, scene.timeline.duration_s, speed)


def _report(scene: Scene, record: Record, rows: Sequence[Row], wall_s: float) -> dict[str, Any]:
    return {
        "good": all(row.good for row in rows),
        "seed": scene.seed,
        "wall_s": round(wall_s, 1),
        "rows": [asdict(row) for row in rows],
        "truth": asdict(scene.timeline),
        "said": [asdict(said) for said in record.said],
        "enrolled": [asdict(enrolled) for enrolled in record.enrolled],
        "samples": record.samples,
    }


@contextmanager
def _workspace(keep: Path | None) -> Iterator[Workspace]:
    """Directories for one demo; removed afterwards, but for the one to keep."""
    with tempfile.TemporaryDirectory(prefix="edged-") as short:
        directory = keep.absolute() if keep else Path(short) / "demo"
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"--keep {directory}: not empty", fix="name a new directory")
        yield Workspace(directory, Path(short))


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Leave in good order, daemon stopped and directories removed, whoever asks for it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
