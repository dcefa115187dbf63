"""The demo's files: the scene as devices play it, the clips an engineer would have recorded, the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import yaml

from edged.demo.scene import Scene
from edged.demo.timeline import HALL, MACHINES
from edged.flow import SAMPLE_RATE_HZ, Float32Array

SOURCE_CLIPS = 24
TARGET_CLIPS = 16
SOURCE_LOAD, TARGET_LOAD = 0.0, 1.0
SOURCE_LABEL, WORD_LABEL = "normal", "word"
TARGET_DOMAIN = "full-load"
HEARTBEAT_S = 0.5
QUEUE_S = 5.0
"""A short queue holds the files back when this computer cannot keep up; the scene waits instead of running ahead."""


@dataclass(frozen=True)
class Workspace:
    """Where everything of one demo lies.

    Attributes:
        directory: audio, state, configuration and the daemon's log.
        runtime_dir: the sockets; apart, because their paths must be short.
    """

    directory: Path
    runtime_dir: Path

    @property
    def config(self) -> Path:
        """The daemon's configuration."""
        return self.directory / "edged.yaml"

    @property
    def log(self) -> Path:
        """What the daemon writes to stderr."""
        return self.directory / "edged.log"

    @property
    def events_endpoint(self) -> str:
        """Where the daemon publishes."""
        return f"ipc://{self.events_socket}"

    @property
    def events_socket(self) -> Path:
        """There once the daemon publishes."""
        return self.runtime_dir / "events.sock"

    @property
    def control_endpoint(self) -> str:
        """Where the daemon takes commands."""
        return f"ipc://{self.runtime_dir}/control.sock"

    def clips(self, stream: str, label: str) -> Path:
        """The folder of enrolment clips of a domain or a keyword."""
        return self.directory / "clips" / stream / label

    def device(self, name: str) -> Path:
        """The recording that a device plays."""
        return self.directory / f"{name}.wav"


def write_clips(workspace: Workspace, scene: Scene) -> None:
    """What the engineer recorded before: both machines at both operating points, and the word."""
    for label, load, n_clips in ((SOURCE_LABEL, SOURCE_LOAD, SOURCE_CLIPS), (TARGET_DOMAIN, TARGET_LOAD, TARGET_CLIPS)):
        recorded = scene.plant.clips(load, n_clips, np.random.default_rng([scene.seed, 3, int(load)]))
        for stream in MACHINES:
            _write_all(workspace.clips(stream, label), recorded[stream])
    _write_all(workspace.clips(HALL, WORD_LABEL), scene.plant.keyword_clips(np.random.default_rng([scene.seed, 4])))


def write_scene(workspace: Workspace, scene: Scene) -> None:
    """What the devices will play: one with a channel for each machine, one in the hall."""
    heard = scene.render()
    _write(workspace.device("machines"), np.stack([heard[stream] for stream in MACHINES], axis=1))
    _write(workspace.device("hall"), heard[HALL])


def write_configuration(workspace: Workspace, speed: float) -> None:
    """The file that every command reads."""
    workspace.config.write_text(yaml.safe_dump(configuration(workspace, speed), sort_keys=False), "utf-8")


def configuration(workspace: Workspace, speed: float) -> dict[str, object]:
    """The daemon's settings: two devices, three streams, the default monitors."""
    devices = {
        name: {"source": "file", "path": str(workspace.device(name)), "speed": speed} for name in ("machines", "hall")
    }
    streams: dict[str, object] = {
        stream: {"device": "machines", "channel": channel, "monitors": ["anomaly"]}
        for channel, stream in enumerate(MACHINES)
    }
    streams[HALL] = {"device": "hall", "monitors": ["keyword"]}
    return {
        "state_dir": str(workspace.directory / "state"),
        "runtime_dir": str(workspace.runtime_dir),
        "devices": devices,
        "streams": streams,
        "capture": {"queue_s": QUEUE_S},
        "events": {"heartbeat_s": HEARTBEAT_S},
    }


def _write_all(folder: Path, clips: Iterable[Float32Array]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(clips, start=1):
        _write(folder / f"{number:02d}.wav", clip)


def _write(path: Path, samples: Float32Array) -> None:
    sf.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
