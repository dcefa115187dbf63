"""`edged keys`: who may reach the daemon from other computers, in two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.options import ConfigOption, JsonOption, StateOption
from edged.cli.output import note, print_json, print_table

EVENTS_PORT, CONTROL_PORT = 9751, 9752
DirOption = Annotated[
    Path | None,
    typer.Option("--dir", help="Directory of the keys; default: as configured, else `keys` in the state directory."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(
        help="Keys of the daemon and of the clients that may reach it from other computers.", no_args_is_help=True
    )
    group.command("init")(keys_init)
    group.command("add")(keys_add)
    group.command("list")(keys_list)
    group.command("remove")(keys_remove)
    group.command("show")(keys_show)
    app.add_typer(group, name="keys")


def keys_init(
    force: Annotated[
        bool, typer.Option("--force", help="Replace the daemon's key: every client needs its new public half then.")
    ] = False,
    directory: DirOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Make the daemon's key pair and an empty list of clients, and print what to add to the configuration.

    What is there already stays as it is.

    Example: sudo edged keys init
    """
    keyring, _ = _keyring(directory, config, state)
    is_new = keyring.init(force=force)
    if as_json:
        print_json(_facts(keyring) | {"new": is_new})
        return
    note(f"{keyring.server_secret}: {'made' if is_new else 'was there already, and stays'}")
    note("add this to the configuration and restart the daemon; then `edged keys add NAME` for every client:")
    print(_config_lines(keyring))


def keys_add(
    name: Annotated[str, typer.Argument(help="Name of the client, such as press-panel.")],
    control: Annotated[bool, typer.Option("--control", help="It may control too, not only listen.")] = False,
    public: Annotated[
        str | None,
        typer.Option("--public", help="The client's own public key, or a file with it; else a pair is made for it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the key of a client of this name.")] = False,
    directory: DirOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let a client in: to listen (events, status, replay), or with --control to enrol, label, roll back and stop too.

    A running daemon takes it at once. Of a client that is there already, what it may do is changed; its key stays.

    Examples:

        edged keys add press-panel

        edged keys add maintenance --control

        edged keys add gateway --public gateway.key
    """
    keyring, settings = _keyring(directory, config, state)
    added = keyring.add(name, "control" if control else "listen", public=public, force=force)
    is_live = _reload(settings)
    if as_json:
        secret = str(added.secret_file) if added.secret_file else None
        print_json(_facts(keyring) | {"name": name, "right": added.client.right, "public": added.public,
                                      "secret_file": secret, "live": is_live})  # fmt: skip
        return
    note(f"{name} may {'listen and control' if control else 'listen'}{_when(is_live)}")
    if added.secret_file is not None:
        note(f"copy {added.secret_file} and {keyring.server_public} to the client, then remove the first one here:")
    print(_snippet(settings, keyring, name))


def keys_list(
    directory: DirOption = None, as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None
) -> None:
    """List the clients that may connect, and what they may do.

    Example: edged keys list
    """
    keyring, _ = _keyring(directory, config, state)
    clients = keyring.clients()
    if as_json:
        print_json([{"name": client.name, "right": client.right, "public": public} for client, public in clients])
        return
    print_table("clients", ("name", "may", "public key"), [(c.name, _may(c.right), public) for c, public in clients])


def keys_remove(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    directory: DirOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Shut a client out. A running daemon cuts it off at once.

    Example: edged keys remove press-panel
    """
    keyring, settings = _keyring(directory, config, state)
    keyring.remove(name)
    is_live = _reload(settings)
    if as_json:
        print_json({"name": name, "live": is_live})
    else:
        print(f"{name} may not connect any more{_when(is_live)}")


def keys_show(
    directory: DirOption = None, as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Print the daemon's public key and the lines of the configuration that use its keys.

    Example: edged keys show
    """
    keyring, _ = _keyring(directory, config, state)
    if as_json:
        print_json(_facts(keyring))
        return
    note(f"public key: {keyring.public()}")
    print(_config_lines(keyring))


def _keyring(directory: Path | None, config: Path | None, state: Path | None) -> tuple[Any, Any]:
    from edged.configfile import load_config
    from edged.security.keyring import Keyring

    settings = load_config(config, state)
    if directory is not None:
        return Keyring(directory.absolute()), settings
    server, allowed = settings.security.server_secret_key, settings.security.allowed_clients
    home = server.parent.absolute() if server is not None else settings.state_path.absolute() / "keys"
    return Keyring(home, server=server, allowed=allowed), settings


def _reload(settings: Any) -> bool:
    """Whether a running daemon that uses keys took the change; else it takes it when it is started with them."""
    from edged.cli.gate import daemon_client

    client = daemon_client(settings)
    if client is None:
        return False
    with client:
        client.call("reload", {})
        return bool(client.call("status", {})["security"]["keys"])


def _when(is_live: bool) -> str:
    return "" if is_live else ", once the daemon runs with these keys"


def _facts(keyring: Any) -> dict[str, Any]:
    return {
        "server_public": keyring.public(),
        "server_public_key": str(keyring.server_public),
        "server_secret_key": str(keyring.server_secret),
        "allowed_clients": str(keyring.allowed),
    }


def _config_lines(keyring: Any) -> str:
    return (
        "security:\n"
        f"  server_secret_key: {keyring.server_secret}\n"
        f"  allowed_clients: {keyring.allowed}\n"
        f"events: {{bind: 'tcp://0.0.0.0:{EVENTS_PORT}'}}\n"
        f"control: {{bind: 'tcp://0.0.0.0:{CONTROL_PORT}'}}"
    )


def _snippet(settings: Any, keyring: Any, name: str) -> str:
    """A client's first program, with the ports that are configured."""
    events, control = (
        f"tcp://{_this_host()}:{bind.rsplit(':', 1)[1] if bind and bind.startswith('tcp:') else port}"
        for bind, port in ((settings.events.bind, EVENTS_PORT), (settings.control.bind, CONTROL_PORT))
    )
    return (
        "from edged.events.subscriber import CurveClient, Subscriber\n\n"
        f'keys = CurveClient("{keyring.server_public.name}", "{name}.key_secret")\n'
        f'with Subscriber("{events}", ["anomaly.", "keyword."], control_endpoint="{control}", curve=keys) as events:\n'
        "    for event in events:\n"
        '        print(event["time"], event["stream"], event["kind"])'
    )


def _this_host() -> str:
    import socket

    return socket.gethostname()


def _may(right: str) -> str:
    return "listen, control" if right == "control" else "listen"
