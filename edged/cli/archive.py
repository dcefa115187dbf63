"""`edged references export`, `import`, `signer`: one device's references for its siblings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption, StreamOption
from edged.cli.output import note, print_json
from edged.errors import UsageError

MonitorOption = Annotated[str, typer.Option("--monitor", help="`anomaly` or `keyword`")]


def register(references: typer.Typer) -> None:
    """Add these commands to the group `references`."""
    references.command("export")(references_export)
    references.command("import")(references_import)
    references.command("signer")(references_signer)


def references_export(
    out: Annotated[Path, typer.Option("--out", help="The archive to write; must not exist yet.")],
    stream: StreamOption = None,
    monitor: MonitorOption = "anomaly",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write the references in use as one signed archive, for devices beside machines of the same kind.

    Example: edged references export --stream press-3 --out press-3.edged-bank
    """
    request = {"monitor": _checked(monitor)}
    report = _done("references.export", stream, request, out, config, state)
    if as_json:
        print_json(report)
        return
    print(f"{report['stream']} / {report['monitor']}: version {report['version']} is in {report['file']}")
    note(f"signed by {report['signer']}")


def references_import(
    file: Annotated[Path, typer.Argument(help="An archive made by `edged references export`.")],
    stream: StreamOption = None,
    signer: Annotated[
        str | None, typer.Option("--signer", help="Public key to trust this time, or a file that holds it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take over the references of another device; the last line says how to undo it.

    Only archives signed by this device, by a key in the state directory's trusted-signers/, or by --signer are taken.
    Example: edged references import press-3.edged-bank --stream press-4 --signer edged-ed25519:...
    """
    from edged.references.signing import given_signer

    key = given_signer(signer) if signer is not None else None
    report = _done("references.import", stream, {"signer": key, "dry_run": dry_run}, file, config, state)
    if as_json:
        print_json(report)
        return
    labels = ", ".join(f"{label}: {count} clips" for label, count in report["labels"].items())
    what = "could be imported" if dry_run else f"imported, version {report['version']}"
    print(f"{report['stream']} / {report['monitor']}: {what}; {labels}; from {report['from']['stream']}")
    if not dry_run:
        note(f"edged: `{_undo(report)}` undoes it")


def _undo(report: dict[str, Any]) -> str:
    """The command: nothing lies before a first version that one could roll back to."""
    verb = "rollback" if report["version_before"] else "remove"
    return f"edged references {verb} --stream {report['stream']} --monitor {report['monitor']}"


def references_signer(as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Print this device's public signing key; it is made on first use.

    Example: edged references signer > press-3.pub, and copy that into a sibling's trusted-signers/.
    """
    from edged.configfile import load_config
    from edged.references.signing import DeviceKey

    key = DeviceKey(load_config(config, state).state_path).public
    print_json({"signer": key}) if as_json else print(key)


def _done(
    verb: str, stream: str | None, request: dict[str, Any], file: Path, config: Path | None, state: Path | None
) -> dict[str, Any]:
    """Through the daemon if it answers, so that it takes the new bank at once; else directly on the state.

    The archive goes over the socket: the daemon need not have the right to read or write where it lies.
    """
    from edged.cli.gate import daemon_client
    from edged.configfile import load_config

    settings = load_config(config, state)
    client = daemon_client(settings)
    if client is None:
        return _directly(verb, stream, request, file, config, state)
    with client:
        arguments = request | {"stream": stream or _only_stream(settings)}
        return _fetched(client, arguments, file) if verb == "references.export" else _sent(client, arguments, file)


def _fetched(client: Any, arguments: dict[str, Any], out: Path) -> dict[str, Any]:
    from edged.control.transfer import fetched_file
    from edged.references.transfer import write_new

    answer: dict[str, Any] = client.call("references.export", arguments, timeout_s=60.0)
    write_new(out, fetched_file(client, answer.pop("transfer")))
    return answer | {"file": str(out)}


def _sent(client: Any, arguments: dict[str, Any], file: Path) -> dict[str, Any]:
    from edged.control.transfer import sent_files

    with sent_files(client, [file]) as transfer:
        answer: dict[str, Any] = client.call("references.import", arguments | {"transfer": transfer}, timeout_s=60.0)
        return answer


def _directly(
    verb: str, stream: str | None, request: dict[str, Any], file: Path, config: Path | None, state: Path | None
) -> dict[str, Any]:
    from edged.assembly import Assembly, chosen_stream
    from edged.references.store import open_store
    from edged.references.transfer import export_bank, import_bank

    with open_store(config, state) as (settings, store):
        name = chosen_stream(settings, store, stream)
        if verb == "references.export":
            return export_bank(store, settings.state_path, name, request["monitor"], file)
        return import_bank(
            Assembly(settings), store, settings.state_path, name, file,
            signer=request["signer"], dry_run=request["dry_run"],
        )  # fmt: skip


def _only_stream(settings: Any) -> str:
    from edged.assembly import chosen_stream
    from edged.references.store import BankStore

    with BankStore(settings.state_path) as store:
        return chosen_stream(settings, store, None)


def _checked(monitor: str) -> str:
    from edged.assembly import MONITOR_NAMES

    if monitor not in MONITOR_NAMES:
        raise UsageError(f"--monitor: '{monitor}' is neither of {', '.join(MONITOR_NAMES)}")
    return monitor
