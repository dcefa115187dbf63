"""Generated documents: `python -m edged.docs` writes them, `--check` fails when one is stale.

deploy/edged.example.yaml   every setting of `edged.config` with its default, ready to be copied
deploy/CONFIG.md            the same as tables for reading
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from edged.config import (
    AnomalySettings,
    Config,
    FileSettings,
    KeywordSettings,
    MicrophoneSettings,
    PcmSettings,
    Settings,
    StreamSettings,
)

EXAMPLE_PATH = Path("deploy/edged.example.yaml")
REFERENCE_PATH = Path("deploy/CONFIG.md")

_GENERATED = "generated from edged/config.py by `python -m edged.docs`; change the models, not this file"
_EXAMPLE_VALUES: Mapping[tuple[type[Settings], str], object] = {
    (MicrophoneSettings, "source"): "microphone",
    (FileSettings, "source"): "file",
    (FileSettings, "path"): "/var/lib/edged/press-3.flac",
    (PcmSettings, "source"): "pcm",
    (StreamSettings, "device"): "hall",
}
_BOUND_WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def documents() -> dict[Path, str]:
    """Every generated document: path in the repository -> text."""
    return {EXAMPLE_PATH: example_yaml(), REFERENCE_PATH: reference_markdown()}


def main(arguments: list[str]) -> int:
    """Write the documents of the repository in the working directory, or with ``--check`` only compare them."""
    stale = [path for path, text in documents().items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path} is stale; run: python -m edged.docs\n")
        return int(bool(stale))
    for path in stale:
        path.write_text(documents()[path], "utf-8")
        sys.stderr.write(f"wrote {path}\n")
    return 0


def example_yaml() -> str:
    """A configuration that listens to one microphone, with every other setting at its default."""
    lines = [f"# edged.yaml: {_GENERATED}.", "# What is commented out shows the other choices.", ""]
    for name, info in Config.model_fields.items():
        if name == "devices":
            lines += _example_devices(info)
        elif name == "streams":
            lines += _example_streams(info)
        elif isinstance(info.default, Settings):
            lines += [f"# {_first_sentence(type(info.default))}", f"{name}:", *_example_fields(type(info.default), 2)]
        else:
            lines += _example_field(Config, name, info, 0)
        lines.append("")
    return "\n".join(lines)


def reference_markdown() -> str:
    """All settings as tables, one per section."""
    parts = ["# Settings of `edged.yaml`", "", f"<!-- {_GENERATED} -->", ""]
    parts += ["`edged check-config FILE` names every problem of a file at once.", ""]
    for title, model in _sections():
        parts += [f"## {title}", "", _first_sentence(model), "", "| key | default | accepts | meaning |"]
        parts.append("|---|---|---|---|")
        for name, info in model.model_fields.items():
            cells = (f"`{name}`", _shown_default(info), _accepts(info), info.description or _meaning(info))
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, type[Settings]]]:
    yield "Top level", Config
    for model in (MicrophoneSettings, FileSettings, PcmSettings):
        yield f"`devices.<name>` with `source: {_EXAMPLE_VALUES[model, 'source']}`", model
    yield "`streams.<name>`", StreamSettings
    yield "`streams.<name>.monitors.anomaly`", AnomalySettings
    yield "`streams.<name>.monitors.keyword`", KeywordSettings
    for name, info in Config.model_fields.items():
        if isinstance(info.default, Settings):
            yield f"`{name}`", type(info.default)


def _example_devices(info: FieldInfo) -> list[str]:
    lines = [f"# {info.description}", "devices:", "  hall:", *_example_fields(MicrophoneSettings, 4)]
    for name, model in (("recording", FileSettings), ("pipe", PcmSettings)):
        lines += [f"  # {line}" for line in (f"{name}:", *_example_fields(model, 2))]
    return lines


def _example_streams(info: FieldInfo) -> list[str]:
    fields = {name: field for name, field in StreamSettings.model_fields.items() if name != "monitors"}
    lines = [f"# {info.description}", "streams:", "  press-3:"]
    for name, field in fields.items():
        lines += _example_field(StreamSettings, name, field, 4)
    lines += [f"    # {StreamSettings.model_fields['monitors'].description}", "    monitors:"]
    for name, model in (("anomaly", AnomalySettings), ("keyword", KeywordSettings)):
        lines += [f"      # {_first_sentence(model)}", f"      {name}:", *_example_fields(model, 8)]
    return lines


def _example_fields(model: type[Settings], indent: int) -> list[str]:
    return [line for name, info in model.model_fields.items() for line in _example_field(model, name, info, indent)]


def _example_field(model: type[Settings], name: str, info: FieldInfo, indent: int) -> list[str]:
    value = _EXAMPLE_VALUES.get((model, name), info.get_default(call_default_factory=True))
    text = yaml.safe_dump(str(value) if isinstance(value, Path) else value, default_flow_style=True)
    shown = "" if value is None else " " + text.removesuffix("...\n").strip()
    accepts = _accepts(info) if info.description else ""
    comment = "; ".join(part for part in (info.description or "", accepts) if part)
    lines = [f"# {comment}"] if comment else []
    return [" " * indent + line for line in (*lines, f"{name}:{shown}")]


def _accepts(info: FieldInfo) -> str:
    choices = [str(c) for kind in _alternatives(info.annotation) if get_origin(kind) is Literal for c in get_args(kind)]
    if choices:
        return " or ".join(choices)
    if bool in _alternatives(info.annotation):
        return "true or false"
    bounds = {
        name: f"{bound:g}" if isinstance(bound, float) else str(bound)
        for constraint in info.metadata
        for name in ("ge", "gt", "le", "lt")
        if (bound := getattr(constraint, name, None)) is not None
    }
    if {"ge", "le"} <= set(bounds):
        return f"{bounds['ge']} to {bounds['le']}"
    return ", ".join(f"{_BOUND_WORDS[name]} {bound}" for name, bound in bounds.items())


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _shown_default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, Settings):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "empty" if value is None or value == {} else f"`{value}`"


def _meaning(info: FieldInfo) -> str:
    models = [kind for kind in _alternatives(info.annotation) if isinstance(kind, type) and issubclass(kind, Settings)]
    return _first_sentence(models[0]) if models else ""


def _first_sentence(model: type[Settings]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0].replace("``", "`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
