"""`edged.yaml`: every setting once, with default, bounds, unit and one sentence.

The example file and the reference table are generated from these models. Unknown keys are errors with a suggestion, and
all errors of a file are reported at once.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
SYSTEM_STATE_DIR = Path("/var/lib/edged")
SYSTEM_RUNTIME_DIR = Path("/run/edged")
SYSTEM_CONFIG_FILE = Path("/etc/edged/edged.yaml")


class Settings(BaseModel):
    """Base of every section: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MicrophoneSettings(Settings):
    """A PortAudio/ALSA input."""

    source: Literal["microphone"]
    name: str = Field(
        default="default", min_length=1, description="device as `edged devices` lists it, or a part of its name"
    )
    rate_hz: int | None = Field(default=None, ge=8000, le=192000, description="capture rate; empty = the device's own")
    channels: int | None = Field(
        default=None, ge=1, le=64, description="channels to open; empty = as many as streams need"
    )


class FileSettings(Settings):
    """A WAV or FLAC file played as if it were a microphone."""

    source: Literal["file"]
    path: Path = Field(description="the file")
    loop: bool = Field(default=False, description="start again at the end")
    speed: float = Field(default=1.0, ge=0.0, le=10000.0, description="times real time; 0 = as fast as possible")


class PcmSettings(Settings):
    """Raw samples from stdin or a FIFO."""

    source: Literal["pcm"]
    path: Path = Field(default=Path("-"), description="`-` for stdin, or a FIFO")
    encoding: Literal["s16le", "f32le"] = Field(default="s16le", description="sample format")
    rate_hz: int = Field(default=16000, ge=8000, le=192000, description="sample rate")
    channels: int = Field(default=1, ge=1, le=64, description="interleaved channels")


DeviceSettings = Annotated[MicrophoneSettings | FileSettings | PcmSettings, Field(discriminator="source")]


ScoringName = Literal[
    "default", "shrinkage", "density", "density-cosine", "cosine", "lof", "gaussian", "mixture"
]  # fmt: skip
Scoring = ScoringName | Annotated[dict[str, ScoringName], Field(min_length=1)]


ThresholdMethod = Literal[
    "mst-sd", "mst-mad", "mst-iqr", "mst-gdp", "mst-hp", "sd", "mad", "iqr", "gdp", "hp", "cleversd"
]


class AnomalySettings(Settings):
    """A monitor that says when the stream does not sound as it normally does."""

    bundle: str = Field(default="default", min_length=1, description="`default`, or the directory of a bundle")
    scoring: Scoring = Field(
        default="default",
        description="back ends the enrolled clips are fitted by; `default` = the bundle's own, or one for each "
        "representation, as {embedding: lof}; `edged references refit` applies a change",
    )
    threshold: float | None = Field(default=None, gt=0.0, description="anomaly score; empty = from the enrolled clips")
    threshold_method: ThresholdMethod = Field(
        default="mst-sd",
        description="how the enrolled clips give a threshold: one or two stages (mst) of standard deviation, median "
        "absolute deviation, interquartile range, gamma or histogram percentile; or cleverSD",
    )
    false_alarms_per_day: float | None = Field(
        default=None,
        ge=0.01,
        le=1000.0,
        description="how many you accept: the threshold is found from what the daemon hears, as soon as that was long "
        "enough; until then the enrolled clips' own stands; empty = it always does",
    )
    false_alarm_confidence: float = Field(
        default=0.9,
        ge=0.5,
        le=0.99,
        description="confidence of the band stated for false alarms; the budget is kept with at least this confidence",
    )
    onset_segments: int = Field(default=2, ge=1, le=100, description="segments above the threshold that make an onset")
    onset_window: int = Field(default=3, ge=1, le=100, description="... out of this many latest segments")
    cleared_segments: int = Field(
        default=3, ge=1, le=100, description="segments in a row below the release that clear it"
    )
    release: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="release level = threshold lowered by this share of its distance from normal",
    )
    update_interval_s: float = Field(default=60.0, ge=1.0, le=86400.0, description="between updates while it lasts")
    drift_spreads: float | None = Field(
        default=2.0,
        gt=0.0,
        le=100.0,
        description="by how many spreads of the enrolled clips' scores those of hours must have risen to be drift; "
        "empty = do not look",
    )
    drift_window_h: float = Field(
        default=6.0, ge=0.01, le=168.0, description="hours of sound without alarm that tell drift"
    )
    deaf_below_db: float | None = Field(
        default=40.0,
        ge=6.0,
        le=120.0,
        description="an input this far below the quietest enrolled clip is deaf and not judged; empty = do not look",
    )
    hiss_beyond_db: float | None = Field(
        default=15.0,
        ge=6.0,
        le=120.0,
        description="white noise this far above or below the enrolled levels is the input's own and not judged; "
        "empty = do not look",
    )

    @model_validator(mode="after")
    def _window_holds_onset(self) -> AnomalySettings:
        if self.onset_segments > self.onset_window:
            raise ValueError("onset_segments cannot exceed onset_window")
        return self

    @model_validator(mode="after")
    def _one_source_of_the_threshold(self) -> AnomalySettings:
        if self.threshold is None:
            return self
        for key in ("false_alarms_per_day", "threshold_method"):
            if key in self.model_fields_set and getattr(self, key) is not None:
                raise ValueError(f"threshold fixes it, {key} finds it: keep one of the two")
        return self


class KeywordSettings(Settings):
    """A monitor that says when an enrolled word was spoken."""

    bundle: str = Field(default="default", min_length=1, description="`default`, or the directory of a bundle")
    threshold: float | None = Field(
        default=None, lt=0.0, description="score of all keywords (minus the distance); empty = from enrolment"
    )
    thresholds: dict[str, Annotated[float, Field(lt=0.0)]] = Field(
        default_factory=dict, description="score of single keywords"
    )
    false_alarms_per_hour: float | None = Field(
        default=None,
        ge=0.01,
        le=60.0,
        description="how many you accept of each word: its threshold is found from speech that came near to it without "
        "being it, in the bundle and in what the daemon hears; empty = the bundle's own threshold stands",
    )
    false_alarm_confidence: float = Field(
        default=0.8,
        ge=0.5,
        le=0.99,
        description="confidence with which the budget is kept, and of the band stated for false alarms",
    )

    @model_validator(mode="after")
    def _one_source_of_the_threshold(self) -> KeywordSettings:
        if self.threshold is not None and self.false_alarms_per_hour is not None:
            raise ValueError("threshold fixes it, false_alarms_per_hour finds it: keep one of the two")
        return self


class MonitorsSettings(Settings):
    """Which detectors run on a stream."""

    anomaly: AnomalySettings | None = None
    keyword: KeywordSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        """Accept `monitors: [anomaly]` and `anomaly:` with nothing behind it as "with its defaults"."""
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            return {name: {} if settings is None else settings for name, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> MonitorsSettings:
        if self.anomaly is None and self.keyword is None:
            raise ValueError("name at least one monitor: anomaly, keyword")
        return self


class StreamSettings(Settings):
    """One monitored mono signal: a device and a channel of it."""

    device: Name = Field(description="a key of `devices`")
    channel: int = Field(default=0, ge=0, le=63, description="channel of the device, from 0")
    reference_stream: Name | None = Field(
        default=None,
        description="another stream of the same device that hears the hall and not this machine: what both hear is "
        "discounted from this one's anomaly score; empty = nothing is",
    )
    reference_share: float = Field(
        default=0.5,
        gt=0.0,
        le=2.0,
        description="by how much of the reference stream's excess the score is lowered, at most down to normal",
    )
    monitors: MonitorsSettings = Field(description="`anomaly`, `keyword` or both")


class CaptureSettings(Settings):
    """How the capture children are supervised."""

    block_ms: int = Field(default=40, ge=5, le=1000, description="audio per block from a child")
    restart_initial_s: float = Field(
        default=0.5, ge=0.05, le=60.0, description="first pause before a child is started again"
    )
    restart_max_s: float = Field(
        default=30.0, ge=0.1, le=3600.0, description="longest pause; doubles up to here, with jitter"
    )
    restart_jitter: float = Field(
        default=0.2, ge=0.0, le=1.0, description="share by which a pause varies at random, so that devices differ"
    )
    stable_after_s: float = Field(
        default=60.0, ge=0.0, le=86400.0, description="after running this long a failure counts as the first again"
    )
    start_timeout_s: float = Field(
        default=15.0, ge=1.0, le=300.0, description="a child that says nothing for this long is replaced"
    )
    stall_timeout_s: float = Field(
        default=5.0, ge=0.5, le=300.0, description="no audio for this long = the child is replaced"
    )
    silent_after_s: float = Field(
        default=3.0,
        ge=0.2,
        le=300.0,
        description="a microphone that delivers nothing for this long is gone and looked for again; shorter than "
        "stall_timeout_s, which is for a child that does not even say so",
    )
    end_timeout_s: float = Field(
        default=1.0, ge=0.1, le=2.0, description="a child that does not end this soon when asked is killed"
    )
    realtime_priority: int = Field(
        default=10,
        ge=0,
        le=50,
        description="real-time priority that microphones' children ask for; 0 = none. It needs the right to it "
        "(LimitRTPRIO= of the unit)",
    )
    queue_s: float = Field(
        default=20.0, ge=1.0, le=300.0, description="audio that may wait for the worker; more is declared lost"
    )
    ring_s: float = Field(
        default=600.0, ge=10.0, le=7200.0, description="latest audio in memory, for `enroll --last` and clips of events"
    )

    @model_validator(mode="after")
    def _the_child_speaks_first(self) -> CaptureSettings:
        if self.silent_after_s >= self.stall_timeout_s:
            raise ValueError("silent_after_s must be shorter than stall_timeout_s")
        return self


class EventsSettings(Settings):
    """The socket events are published on, and the journal."""

    bind: str | None = Field(
        default=None,
        description="ZeroMQ endpoint: `tcp://` for other computers, beside the `ipc://` one in the runtime directory; "
        "an `ipc://` one instead of it",
    )
    heartbeat_s: float = Field(default=10.0, ge=0.1, le=3600.0, description="between heartbeats")
    send_high_water_mark: int = Field(default=1000, ge=10, le=1000000, description="messages waiting per subscriber")
    journal_max_events: int = Field(
        default=100000, ge=100, le=100000000, description="older events are removed beyond this, status before alarms"
    )
    journal_max_mib: int = Field(default=200, ge=1, le=1 << 20, description="the same for the size of their text")
    journal_max_age_days: float = Field(default=365.0, gt=0.0, le=36500.0, description="older events are removed")
    low_space_mib: int = Field(
        default=20, ge=0, le=1 << 20, description="telemetry is off while less than this is free on the state's disk"
    )
    scores: bool = Field(default=True, description="publish the score of every segment as telemetry")


class ClipsSettings(Settings):
    """Saved audio around events; it holds whatever the microphone heard, speech too, and never leaves the device."""

    anomaly: bool = Field(default=True, description="save the sound around the onset of an anomaly")
    keyword: bool = Field(default=False, description="save the sound around a keyword")
    pre_roll_s: float = Field(default=5.0, ge=0.0, le=60.0, description="audio before what decided the event")
    post_roll_s: float = Field(default=5.0, ge=0.0, le=60.0, description="audio after it")
    format: Literal["flac", "wav"] = Field(default="flac", description="file format, 16 bit")
    max_total_mib: int = Field(default=200, ge=1, le=1 << 20, description="all clips together; the oldest go first")
    max_age_days: float = Field(default=30.0, gt=0.0, le=3650.0, description="older clips are removed")
    keep_free_mib: int = Field(
        default=200, ge=0, le=1 << 20, description="no clip is saved when less than this would stay free on the disk"
    )


class ControlSettings(Settings):
    """The socket commands come in on."""

    bind: str | None = Field(default=None, description="ZeroMQ endpoint, as for `events`")
    max_message_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 28, description="larger requests are refused")
    max_transfer_mib: int = Field(
        default=1024, ge=1, le=1 << 20, description="clips and archives that clients send, all together, until used"
    )
    directories: list[Path] = Field(
        default_factory=list,
        description="directories below which requests may name clips and archives, beside the state's `incoming`; "
        "what lies elsewhere is sent over the socket, as `edged enroll` does",
    )

    @field_validator("directories")
    @classmethod
    def _absolute(cls, directories: list[Path]) -> list[Path]:
        if not all(directory.is_absolute() and ".." not in directory.parts for directory in directories):
            raise ValueError("must be absolute paths")
        return directories


class SecuritySettings(Settings):
    """CURVE; needed for every bind that other computers can reach."""

    server_secret_key: Path | None = Field(default=None, description="the daemon's CURVE key file, mode 0600")
    allowed_clients: Path | None = Field(
        default=None,
        description="directory of the public keys that may listen; those in its folder `control` may control too",
    )
    max_connections: int = Field(
        default=64, ge=4, le=4096, description="connections to a socket; remote ones beyond it are cut at once"
    )


class MetricsSettings(Settings):
    """The Prometheus endpoint."""

    enabled: bool = Field(default=False, description="serve metrics over HTTP")
    address: str = Field(default="127.0.0.1", description="address to bind")
    allow_remote: bool = Field(
        default=False, description="serve an address that other computers reach, in clear and without keys"
    )
    port: int = Field(default=9750, ge=1, le=65535, description="port to bind")


class MqttSettings(Settings):
    """The MQTT broker that `edged bridge mqtt` tells; the daemon itself does not use it."""

    host: str | None = Field(default=None, min_length=1, max_length=253, description="the broker; empty = no bridge")
    port: int = Field(default=8883, ge=1, le=65535, description="its port; 8883 with TLS, 1883 without")
    tls: bool = Field(default=True, description="talk TLS, and check the broker's certificate and name")
    allow_clear: bool = Field(default=False, description="without TLS, talk to a broker on another computer in clear")
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) that the broker's must come from; empty = the system's"
    )
    certificate: Path | None = Field(default=None, description="the bridge's own certificate (PEM), if the broker asks")
    key_file: Path | None = Field(default=None, description="its private key (PEM), mode 0600")
    user: str | None = Field(default=None, min_length=1, description="user name at the broker")
    password_file: Path | None = Field(default=None, description="file with the password, mode 0600")
    device: Name | None = Field(
        default=None, description="name of this device in topics, unique at the broker; empty = the host name"
    )
    topic_prefix: str = Field(
        default="edged", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}$", description="what all topics begin with"
    )
    discovery_prefix: str | None = Field(
        default="homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}$",
        description="where Home Assistant looks for devices; empty = no discovery",
    )
    scores_every_s: float = Field(
        default=60.0, ge=0.0, le=86400.0, description="a stream's score is sent this often at most; 0 = never"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> MqttSettings:
        if (self.certificate is None) != (self.key_file is None):
            raise ValueError("certificate and key_file belong together: give both or none")
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file needs a user")
        if not self.tls and (self.ca_file or self.certificate):
            raise ValueError("ca_file and certificate are for TLS, which is off: remove them, or set tls: true")
        if self.host is not None and not (self.tls or self.allow_clear or is_loopback(self.host)):
            raise ValueError(f"events would go to {self.host[:60]} in clear: keep tls: true, or set allow_clear")
        return self


class Config(Settings):
    """The whole of `edged.yaml`."""

    state_dir: Path | None = Field(
        default=None,
        description="banks and journal; empty = /var/lib/edged for root or if it exists, else ~/.local/state/edged",
    )
    runtime_dir: Path | None = Field(
        default=None, description="sockets; empty = /run/edged with the system state, else the state directory"
    )
    devices: dict[Name, DeviceSettings] = Field(default_factory=dict, description="audio inputs by name")
    streams: dict[Name, StreamSettings] = Field(default_factory=dict, description="monitored signals by name")
    use_gpu: bool = Field(
        default=True,
        description="run the networks on a GPU where there is one: by the engine that `edged compile` made, or by ONNX "
        "Runtime's CUDA; the CPU serves until then",
    )
    exit_when_done: bool = Field(
        default=False, description="end when every file and pipe has ended and all of it is scored and published"
    )
    capture: CaptureSettings = CaptureSettings()
    events: EventsSettings = EventsSettings()
    clips: ClipsSettings = ClipsSettings()
    control: ControlSettings = ControlSettings()
    security: SecuritySettings = SecuritySettings()
    metrics: MetricsSettings = MetricsSettings()
    mqtt: MqttSettings = MqttSettings()

    @property
    def state_path(self) -> Path:
        """The state directory in force."""
        return self.state_dir or default_state_dir()

    @property
    def runtime_path(self) -> Path:
        """The directory of the sockets in force."""
        if self.runtime_dir:
            return self.runtime_dir
        return SYSTEM_RUNTIME_DIR if self.state_path == SYSTEM_STATE_DIR else self.state_path

    def reference_chain(self, stream: str) -> list[str]:
        """The stream, its reference stream, that one's, and so on; a cycle ends with the stream it comes back to."""
        chain: list[str] = []
        following: str | None = stream
        while following in self.streams and following not in chain:
            chain.append(following)
            following = self.streams[following].reference_stream
        return chain if following is None else [*chain, following]

    @property
    def streams_references_first(self) -> list[str]:
        """All streams, every reference stream before those that name it."""
        return sorted(self.streams, key=lambda name: len(self.reference_chain(name)))

    @property
    def events_endpoint(self) -> str:
        """Where events are published for this computer."""
        return _local_endpoint(self.events.bind, self.runtime_path / "events.sock")

    @property
    def control_endpoint(self) -> str:
        """Where commands are taken from this computer."""
        return _local_endpoint(self.control.bind, self.runtime_path / "control.sock")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address says that it is this computer.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("127.0.0.1"), is_loopback("broker.example")
    (True, True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _local_endpoint(bind: str | None, default: Path) -> str:
    return bind if bind is not None and remote_endpoint(bind) is None else f"ipc://{default}"


def remote_endpoint(bind: str | None) -> str | None:
    """What is bound beside the local endpoint, if anything.

    >>> remote_endpoint("tcp://0.0.0.0:9751"), remote_endpoint("ipc:///run/other.sock"), remote_endpoint(None)
    ('tcp://0.0.0.0:9751', None, None)
    """
    return None if bind is None or bind.startswith("ipc://") else bind


def default_state_dir() -> Path:
    """The system's state directory for root and where edged is installed, the user's own else."""
    if os.geteuid() == 0 or SYSTEM_STATE_DIR.is_dir():
        return SYSTEM_STATE_DIR
    base = os.environ.get("XDG_STATE_HOME")
    return Path(base) / "edged" if base else Path.home() / ".local" / "state" / "edged"
