"""`edged compile`: engines for this device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption
from edged.cli.output import note, print_json

if TYPE_CHECKING:
    from edged.assembly import Assembly
    from edged.compile.run import Compiled
    from edged.config import Config
    from edged.embed.bundle import Bundle


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("compile")(compile_engines)


def compile_engines(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(help="Directories of bundles, `anomaly` or `keyword`; without any, those the streams use."),
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, fp16 or int8; auto: fp16, or fp32 where that cannot be right")
    ] = "auto",
    max_batch: Annotated[int, typer.Option("--max-batch", min=1, max=256, help="Most segments at once")] = 32,
    workspace: Annotated[int, typer.Option("--workspace", min=16, max=65536, help="Memory to build in, MiB")] = 512,
    effort: Annotated[int, typer.Option("--effort", min=0, max=5, help="0 builds quickly, 5 makes it run quickly")] = 3,
    force: Annotated[bool, typer.Option("--force", help="Build even if there is an equal engine.")] = False,
    optional: Annotated[
        bool,
        typer.Option("--optional", help="Succeed where no GPU or TensorRT is, or `use_gpu` is off; for the service."),
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Build TensorRT engines on this device, compare them with ONNX Runtime, and install those that agree.

    A running daemon switches to an engine as soon as it is installed, without a restart; until then, and wherever this
    fails, it runs on the CPU. The engine before is kept until the new one has passed. An engine that was not right is
    not built again without --force. Without names, engines that no stream uses any more are removed.

    Examples:
        edged compile

        edged compile anomaly --precision fp32 --force

        edged compile /srv/bundles/press --max-batch 64 --json
    """
    from edged.assembly import Assembly, open_bundle
    from edged.compile.engines import PRECISIONS, Precision
    from edged.compile.run import Wish, compile_bundle
    from edged.configfile import load_config
    from edged.errors import AcceleratorError, UsageError

    choices: tuple[Precision | Literal["auto"], ...] = ("auto", *PRECISIONS)
    chosen = next((known for known in choices if known == precision), None)
    if chosen is None:
        raise UsageError(f"--precision: '{precision}'", fix=f"choose one of auto, {', '.join(PRECISIONS)}")
    settings = load_config(config, state)
    assembly = Assembly(settings)
    wanted = [open_bundle(name) for name in bundles or []] or _configured(assembly, settings)
    if optional and (reason := _why_none(settings)):
        note(f"nothing to do: {reason}")
        return
    wish = Wish(chosen, force=force, max_batch=max_batch, workspace_mib=workspace, optimisation_level=effort)
    done, failed = [], []
    for bundle in wanted:
        try:
            done.append(compile_bundle(bundle, wish, assembly, note))
        except AcceleratorError as error:
            if not bundles:  # the others may still work
                note(f"edged: {error}")
                failed.append(str(error))
            else:
                raise
    if not bundles and settings.streams:
        _remove_unused(settings, wanted)
    if as_json:
        print_json([facts(one) for one in done] + [{"state": "failed", "reason": reason} for reason in failed])
    else:
        for one in done:
            print(line(one))
    if failed:
        raise typer.Exit(1)


def _why_none(settings: Config) -> str:
    """Why no engine is needed or can be made here; empty if one can."""
    from edged.compile.hardware import this_hardware
    from edged.errors import AcceleratorError

    if not settings.use_gpu:
        return "use_gpu is off"
    try:
        this_hardware()
    except AcceleratorError as error:
        return str(error)
    return ""


def _remove_unused(settings: Config, used: list[Bundle]) -> None:
    from edged.compile.engines import EngineStore

    try:
        for name in EngineStore(settings.state_path).remove_others(used):
            note(f"{name}: removed, no stream uses it")
    except OSError as error:
        note(f"an engine that no stream uses cannot be removed: {error}")


def _configured(assembly: Assembly, settings: Config) -> list[Bundle]:
    """The bundles of all configured monitors; without a configuration those that ship."""
    from edged.assembly import MONITOR_NAMES, open_bundle

    found = {
        bundle.vectors_digest: bundle
        for stream, chosen in settings.streams.items()
        for monitor in MONITOR_NAMES
        if getattr(chosen.monitors, monitor) is not None
        for bundle in [assembly.bundle(stream, monitor)]
    }
    return list(found.values()) or [open_bundle(name) for name in MONITOR_NAMES]


def facts(one: Compiled) -> dict[str, object]:
    """For programs."""
    engine = one.record.model_dump(mode="json") if one.record else None
    return {"bundle": one.bundle, "state": one.state, "seconds": round(one.seconds, 1), "engine": engine}


def line(one: Compiled) -> str:
    """For people."""
    if one.record is None:
        return f"{one.bundle}: {one.state}, it has no network"
    figures = ", ".join(f"{name} {value:.5g}" for name, value in one.record.parity.items())
    return f"{one.bundle}: {one.state}, {one.record.label} on {one.record.hardware.device} ({figures})"
