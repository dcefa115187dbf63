"""A place to measure in: a configuration's own streams and references, on files instead of its devices.

Nothing of the real state is written: its references are read and copied into a state directory of the bench. Where
nothing is enrolled, a pump of the demo and a spoken word stand in.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from edged.assembly import MONITOR_NAMES, Assembly, MonitorName
from edged.capture.source import SourceSpec
from edged.capture.wavfile import open_audio
from edged.compile.engines import ENGINES
from edged.config import (
    ClipsSettings,
    Config,
    ControlSettings,
    DeviceSettings,
    FileSettings,
    MetricsSettings,
    MicrophoneSettings,
    MqttSettings,
    SecuritySettings,
)
from edged.demo.machines import Pump
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.errors import EdgedError, StateError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain, enroll_keyword
from edged.references.reader import BankReader
from edged.references.store import BankStore, StoredBank
from edged.references.terms import Terms
from edged.runtime.device import source_spec
from edged.state import DATABASE_NAME

MICROPHONE_RATE_HZ = 48_000
"""What most deliver that the configuration tells no rate of."""
_SOUND_S = 30.0
_MOST_BYTES = 64 << 20
_LEVEL = 0.05
_N_CLIPS, _CLIP_S = 8, 10.0
_SEED = 20
_FORCED = Terms(force=True, reason="bench")


@dataclass(frozen=True)
class Site:
    """Everything that can be run as if it were the configuration.

    Attributes:
        config: of the bench's own daemon: same streams, same settings, files instead of devices.
        stand_ins: ``stream/monitor`` of references that are not the configuration's own.
        notes: what an operator should know of the figures.
    """

    config: Config
    directory: Path
    stand_ins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source_of(self) -> dict[str, SourceSpec]:
        """What the capture child of every device opens."""
        config = self.config
        return {name: source_spec(device, config.capture, 1) for name, device in config.devices.items()}

    def streams_of(self, device: str) -> list[str]:
        """Names."""
        return [name for name, stream in self.config.streams.items() if stream.device == device]

    def part(self, devices: Sequence[str]) -> Config:
        """The configuration with some of its devices only, and their streams."""
        streams = {name: one for name, one in self.config.streams.items() if one.device in devices}
        kept = {name: one for name, one in self.config.devices.items() if name in devices}
        return self.config.model_copy(update={"devices": kept, "streams": streams})


@dataclass
class _Banks:
    """References for every monitor of a configuration."""

    real: Config
    bench: Config
    stand_ins: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def gather(self) -> None:
        """Copy what is enrolled, enrol what is not."""
        assembly = Assembly(self.bench)
        kept: dict[tuple[MonitorName, str], StoredBank] = {}
        with BankStore(self.bench.state_path) as store:
            for stream, monitor in _monitors(self.bench):
                if self._copied(assembly, store, stream, monitor):
                    continue
                self.stand_ins.append(f"{stream}/{monitor}")
                key = monitor, assembly.bundle(stream, monitor).digest
                if key not in kept:
                    kept[key] = _enrolled(assembly, store, stream, monitor)
                else:
                    _commit(store, stream, kept[key])

    def _copied(self, assembly: Assembly, store: BankStore, stream: str, monitor: MonitorName) -> bool:
        """Whether the real references of a monitor could be taken."""
        try:
            stored = self._stored(stream, monitor)
            if stored is None:
                return False
            _commit(store, stream, stored)
            assembly.bank(store, stream, monitor)
        except StateError as error:
            self.notes.append(f"{stream}: {monitor} references: {error}")
            if store.active_version(stream, monitor):
                store.remove(stream, monitor)
            return False
        return True

    def _stored(self, stream: str, monitor: MonitorName) -> StoredBank | None:
        try:
            if not (self.real.state_path / DATABASE_NAME).is_file():
                return None
        except OSError as error:  # of a directory that is another user's
            raise StateError(str(error), fix="sudo edged bench") from error
        with BankReader(self.real.state_path) as store:
            return store.load_active(stream, monitor)


def make_site(config: Config, directory: Path) -> Site:
    """A configuration's site below an empty directory.

    Raises:
        EdgedError: a bundle cannot be used.
    """
    state = directory / "state"
    state.mkdir()
    notes = _take_engines(config, state)
    bench = config.model_copy(
        update={
            "state_dir": state, "runtime_dir": None, "exit_when_done": False,
            "devices": {name: _file_instead(config, name, directory) for name in config.devices},
            "events": config.events.model_copy(update={"bind": None}),
            "control": ControlSettings(), "security": SecuritySettings(), "metrics": MetricsSettings(),
            "mqtt": MqttSettings(), "clips": ClipsSettings(anomaly=False, keyword=False),
        }
    )  # fmt: skip
    banks = _Banks(config, bench, notes=notes)
    banks.gather()
    return Site(bench, directory, tuple(banks.stand_ins), tuple(banks.notes))


def shipped() -> Config:
    """Both shipped bundles: a stream with each, and one with both, on microphones of their own."""
    monitors: Mapping[str, list[str]] = {"anomaly": ["anomaly"], "keyword": ["keyword"], "both": list(MONITOR_NAMES)}
    return Config.model_validate(
        {
            "devices": {f"{name}-mic": {"source": "microphone"} for name in monitors},
            "streams": {name: {"device": f"{name}-mic", "monitors": chosen} for name, chosen in monitors.items()},
        }
    )


def steady_sound() -> Float32Array:
    """A healthy pump at several loads, float32 (n_samples,), 16 kHz: nothing begins in it that would be explained."""
    return np.concatenate(_pump())


@lru_cache(maxsize=1)
def _pump() -> tuple[Float32Array, ...]:
    """Clips of it; made once, since that takes seconds on a small computer."""
    rng = np.random.default_rng(_SEED)
    pump, n_samples = Pump.drawn(rng), round(_CLIP_S * SAMPLE_RATE_HZ)
    calm = np.zeros(n_samples, np.float32)
    loads = (np.full(n_samples, load, np.float32) for load in np.linspace(0.3, 0.7, _N_CLIPS))
    return tuple(_at_level(pump.sound(load, calm, rng)) for load in loads)


def _at_level(sound: Float32Array) -> Float32Array:
    return np.asarray(sound * (_LEVEL / np.sqrt(np.mean(np.square(sound)))), np.float32)


def _take_engines(config: Config, state: Path) -> list[str]:
    """What `edged compile` made, for the bench's daemon too; a note where that cannot be read."""
    engines = config.state_path / ENGINES
    try:
        if engines.is_dir():
            shutil.copytree(engines, state / ENGINES)
    except (OSError, shutil.Error):
        return [f"{engines}: cannot be read, so no engine is measured: sudo edged bench"]
    return []


def _file_instead(config: Config, device: str, directory: Path) -> FileSettings:
    """A file with the device's rate and channels, played for ever in real time."""
    rate_hz, channels = _shape(config, device, config.devices[device])
    path = directory / f"{rate_hz}x{channels}.wav"
    if not path.exists():
        seconds = min(_SOUND_S, _MOST_BYTES / (2 * channels * rate_hz))
        sound = steady_sound()[: round(seconds * SAMPLE_RATE_HZ)]
        mono = sound if rate_hz == SAMPLE_RATE_HZ else soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz)
        soundfile.write(path, np.repeat(mono[:, np.newaxis], channels, axis=1), rate_hz, subtype="PCM_16")
    return FileSettings(source="file", path=path, loop=True)


def _shape(config: Config, name: str, settings: DeviceSettings) -> tuple[int, int]:
    """Rate and channels of a device, as far as they are known without opening it."""
    needed = 1 + max((stream.channel for stream in config.streams.values() if stream.device == name), default=0)
    if isinstance(settings, MicrophoneSettings):
        return settings.rate_hz or MICROPHONE_RATE_HZ, settings.channels or needed
    if not isinstance(settings, FileSettings):
        return settings.rate_hz, settings.channels
    try:
        with open_audio(settings.path) as audio:
            return int(audio.samplerate), max(int(audio.channels), needed)
    except EdgedError:
        return MICROPHONE_RATE_HZ, needed


def _monitors(config: Config) -> list[tuple[str, MonitorName]]:
    return [
        (stream, monitor)
        for stream, settings in config.streams.items()
        for monitor in MONITOR_NAMES
        if getattr(settings.monitors, monitor) is not None
    ]


def _commit(store: BankStore, stream: str, bank: StoredBank) -> None:
    store.commit(stream, bank.monitor, bank.facts, bank.arrays, reason="bench", based_on=0)


def _enrolled(assembly: Assembly, store: BankStore, stream: str, monitor: MonitorName) -> StoredBank:
    """The stand-in's references, enrolled on a stream as any others are."""
    if monitor == "anomaly":
        clips = [clip_of_samples(f"pump-{number}", sound, ANOMALY_CLIPS) for number, sound in enumerate(_pump())]
        enroll_domain(assembly, store, stream, clips, terms=_FORCED)
    else:
        words = [clip_of_samples(name, _LEVEL * spoken_clip(name), KEYWORD_CLIPS) for name in ENROLMENT_CLIPS]
        enroll_keyword(assembly, store, stream, words, word="maintenance", terms=_FORCED)
    stored = store.load_active(stream, monitor)
    assert stored is not None  # noqa: S101 - enrolled above
    return stored
