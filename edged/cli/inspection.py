"""`edged devices`, `check-config`, `bundle`: looking at what is there, changing nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edged.cli.options import JsonOption
from edged.cli.output import note, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("devices")(devices)
    app.command("check-config")(check_config)
    bundle = typer.Typer(help="Look into a bundle and verify it.", no_args_is_help=True)
    bundle.command("verify")(bundle_verify)
    bundle.command("show")(bundle_show)
    app.add_typer(bundle, name="bundle")


def devices(as_json: JsonOption = False) -> None:
    """List audio inputs with stable names, native rates and channels.

    Example: edged devices
    """
    from edged.capture.devices import list_inputs

    found = list_inputs()
    if as_json:
        print_json([asdict(device) for device in found])
        return
    if not found:
        note("no audio inputs: is a microphone plugged in, and may this user open it (group audio)?")
        return
    rows = [(d.stable_name, d.name, d.channels, d.rate_hz) for d in found]
    print_table("audio inputs", ("stable name (use in edged.yaml)", "name", "channels", "native rate / Hz"), rows)


def check_config(file: Annotated[Path, typer.Argument(help="The file to check.")], as_json: JsonOption = False) -> None:
    """Check a configuration and name every error; exit code 78 if there is one.

    A note tells where this computer lacks what it names: bundles, keys, streams.

    Example: edged check-config /etc/edged/edged.yaml
    """
    from edged.configfile import load_config
    from edged.errors import ConfigError
    from edged.runtime.preflight import refuse_unusable

    config = load_config(file)
    if as_json:
        print_json(config.model_dump(mode="json"))
        return
    monitors = [
        (name, s.device, s.channel, ", ".join(m for m in ("anomaly", "keyword") if getattr(s.monitors, m)))
        for name, s in config.streams.items()
    ]
    print_table(f"{file}: ok", ("stream", "device", "channel", "monitors"), monitors)
    try:
        refuse_unusable(config)
    except ConfigError as error:  # another computer may have what it names
        note(f"edged: this computer would not start with it: {error}")


def bundle_verify(
    directory: Annotated[str, typer.Argument(help="A bundle's directory, `anomaly` or `keyword`.")],
) -> None:
    """Check every hash and shape of a bundle, and that its model runs.

    Example: edged bundle verify keyword
    """
    from edged.assembly import open_bundle
    from edged.embed.onnx import OnnxEmbedder
    from edged.pipeline import run_once

    bundle = open_bundle(directory)
    embedder = OnnxEmbedder(bundle)
    run_once(bundle, embedder)
    print(f"{bundle.directory}: ok, {bundle.label}, runs on {embedder.provider}")


def bundle_show(
    directory: Annotated[str, typer.Argument(help="A bundle's directory, `anomaly` or `keyword`.")],
    as_json: JsonOption = False,
) -> None:
    """Print a bundle's manifest (--json) or its card."""
    from edged.assembly import open_bundle

    bundle = open_bundle(directory)
    if as_json or not bundle.card:
        print_json(bundle.manifest.model_dump(mode="json"))
    else:
        print(bundle.card)
