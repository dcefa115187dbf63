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
TARGET_DOMAIN = "full-load"
HEARTBEAT_S = 0.5
QUEUE_S = 300.0


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


def furnish(workspace: Workspace, scene: Scene, speed: float) -> None:
    """Write everything that the daemon and the enrolment commands read."""
    heard = scene.render()
    _write(workspace.device("machines"), np.stack([heard[stream] for stream in MACHINES], axis=1))
    _write(workspace.device("hall"), heard[HALL])
    for number, stream in enumerate(MACHINES):
        for label, load, n_clips in (("normal", SOURCE_LOAD, SOURCE_CLIPS), (TARGET_DOMAIN, TARGET_LOAD, TARGET_CLIPS)):
            rng = np.random.default_rng([scene.seed, 3, number, int(load)])
            _write_clips(workspace.clips(stream, label), scene.plant.clips(stream, load, n_clips, rng))
    rng = np.random.default_rng([scene.seed, 4])
    _write_clips(workspace.clips(HALL, "word"), scene.plant.keyword_clips(rng))
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


def _write_clips(folder: Path, clips: Iterable[Float32Array]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(clips, start=1):
        _write(folder / f"{number:02d}.wav", clip)


def _write(path: Path, samples: Float32Array) -> None:
    sf.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
