"""Reading `edged.yaml`: bounded, duplicate keys refused, every problem named with its key, value and a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edged.config import SYSTEM_CONFIG_FILE, Config, is_loopback
from edged.errors import ConfigError

MAX_CONFIG_BYTES = 1 << 20
_CLIP_SPARE_S = 5.0
"""Between the end of an event's sound and the saving of its clip, beside the sound after it."""


def load_config(path: Path | None, state_dir: Path | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the file; None means the system's file where it exists, else the defaults.
        state_dir: overrides `state_dir` (the ``--state`` option).

    Raises:
        ConfigError: with one line for every problem of the file.
    """
    if path is None and SYSTEM_CONFIG_FILE.is_file():
        path = SYSTEM_CONFIG_FILE
    values = read_yaml(path) if path else {}
    if state_dir is not None:
        values = {**values, "state_dir": str(state_dir.absolute())}
    return parse_config(values, str(path or "defaults"))


def parse_config(values: dict[str, Any], origin: str) -> Config:
    """Validate parsed YAML; `origin` names the file in errors."""
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        lines = [describe_problem(problem) for problem in error.errors()]
        raise ConfigError(_joined(origin, lines)) from error
    checks = (
        _unknown_devices, _absent_channels, _unfit_references, _clips_out_of_reach, _too_long_endpoints, _open_metrics,
    )  # fmt: skip
    problems = [line for check in checks for line in check(config)]
    if problems:
        raise ConfigError(_joined(origin, problems))
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as a mapping; empty files are empty mappings."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES >> 10} KiB")
        values = yaml.load(data, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader with one more check
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", fix="name an existing file with --config") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {str(error) or type(error).__name__}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}, not keys and values")
    return values


def describe_problem(problem: ErrorDetails) -> str:
    """One line for the operator: key, value, what is wrong, and a suggestion for a misspelt key."""
    location = [part for part in problem["loc"] if part not in ("microphone", "file", "pcm")]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_suggestion(location)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = "" if isinstance(value, dict | list) else f" (is {str(value)[:60]!r})"
    return f"{key or 'file'}: {message}{shown}"


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of silently keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"key given twice: {', '.join(twice)} (line {node.start_mark.line + 1})")
        return super().construct_mapping(node, deep)


def _joined(origin: str, lines: Sequence[str]) -> str:
    return f"{origin}: " + lines[0] if len(lines) == 1 else f"{origin}: {len(lines)} problems\n  " + "\n  ".join(lines)


def _suggestion(location: Sequence[str | int]) -> str:
    close = difflib.get_close_matches(str(location[-1]), sorted(_known_keys(Config)), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _known_keys(model: type[BaseModel]) -> set[str]:
    keys = set(model.model_fields)
    for info in model.model_fields.values():
        for nested in _models_in(info.annotation):
            keys |= _known_keys(nested)
    return keys


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _unknown_devices(config: Config) -> list[str]:
    lines = []
    for name, stream in config.streams.items():
        if stream.device not in config.devices:
            close = difflib.get_close_matches(stream.device, list(config.devices), n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(config.devices) or 'none'}"
            lines.append(f"streams.{name}.device: no device '{stream.device}'{hint}")
    return lines


def _absent_channels(config: Config) -> list[str]:
    """Channels beyond those that a device is told to open; what a file holds is only known when it is opened."""
    lines = []
    for name, stream in config.streams.items():
        present = getattr(config.devices.get(stream.device), "channels", None)
        if present is not None and stream.channel >= present:
            reason = f"device '{stream.device}' opens {present} channels, and they count from 0"
            lines.append(f"streams.{name}.channel: {reason} (is {stream.channel})")
    return lines


def _unfit_references(config: Config) -> list[str]:
    """Reference streams that could not be set against the stream that names them."""
    lines = []
    for name, stream in config.streams.items():
        if stream.reference_stream is not None:
            reason = _reason_against_reference(config, name, stream.reference_stream)
            lines += [f"streams.{name}.reference_stream: {reason}"] if reason else []
    return lines


def _reason_against_reference(config: Config, name: str, reference: str) -> str:
    near, far = config.streams[name], config.streams.get(reference)
    if far is None:
        close = difflib.get_close_matches(reference, list(config.streams), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        return f"no stream '{reference}'{hint}"
    if name in config.reference_chain(reference):
        return f"'{reference}' leads back to '{name}'; a reference stream hears the hall and discounts nothing"
    if far.device != near.device:
        return f"'{reference}' is on device '{far.device}', not '{near.device}': their sample clocks differ"
    without = [label for label, s in ((name, near), (reference, far)) if s.monitors.anomaly is None]
    return f"'{without[0]}' has no anomaly monitor" if without else ""


def _clips_out_of_reach(config: Config) -> list[str]:
    """Clips whose event is out of memory before their end is heard: every one would be lost."""
    after_s, kept_s = config.clips.post_roll_s, config.capture.ring_s
    if not (config.clips.anomaly or config.clips.keyword) or after_s + _CLIP_SPARE_S <= kept_s:
        return []
    return [f"clips.post_roll_s: needs a capture.ring_s of {after_s + _CLIP_SPARE_S:g} or more (is {kept_s:g})"]


def _open_metrics(config: Config) -> list[str]:
    """A page without keys is for this computer, unless somebody says otherwise."""
    metrics = config.metrics
    if not metrics.enabled or is_loopback(metrics.address) or metrics.allow_remote:
        return []
    reason = "other computers could read it without keys; keep 127.0.0.1, or set allow_remote"
    return [f"metrics.address: {reason} (is {metrics.address[:60]!r})"]


def _too_long_endpoints(config: Config) -> list[str]:
    """Unix sockets take 107 bytes of path; ZeroMQ's own message for it names neither the path nor the limit."""
    return [
        f"{key}: the socket path {endpoint} is longer than 107 bytes; set a shorter runtime_dir"
        for key, endpoint in (("events.bind", config.events_endpoint), ("control.bind", config.control_endpoint))
        if endpoint.startswith("ipc://") and len(endpoint.encode()) - len("ipc://") > 107
    ]
