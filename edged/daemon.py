"""The process of `edged run`: holds the state directory, counts its starts, lives, and begins anew where it has to.

    start -> too many that did not last? -> no: listens (`edged.service`) -> told to stop: ends
                 ^                       -> yes: safe mode                -> fault, or wish: starts again
                 +------------------------------------------------------------------+

It starts again by replacing itself, under the same process number: the service manager sees one service that became
ready twice, and nothing of the life before goes on: no thread that hangs, no job that would still write.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from edged.config import Config
from edged.errors import ConfigError, EdgedError, StateError
from edged.observe.logs import set_up_logging
from edged.observe.notify import has_manager, notify, watchdog_limit
from edged.runtime.life import BEGIN_ANEW, Life, Reread
from edged.runtime.lock import only_daemon
from edged.runtime.starts import CrashLoop, Starts
from edged.safe_mode import SafeMode
from edged.service import Service

_log = logging.getLogger(__name__)

STARTS_WITHIN_S = 120.0
"""What the unit allows a first start (TimeoutStartSec); until it is ready again, nothing feeds the watchdog."""


def run(config: Config, reread: Reread | None = None) -> int:
    """Run the daemon until it is told to stop, or everything is done; the exit code.

    Args:
        reread: reads the configuration again, for `edged reload` and whenever it begins anew. None: it cannot change,
            and the process is the caller's: it is never replaced.

    Raises:
        EdgedError: it cannot run like this.
    """
    set_up_logging()
    while True:
        with only_daemon(config.state_path):
            life, exit_code = _lived(config, reread, Starts(config))
        if exit_code != BEGIN_ANEW:
            break
        fault = life.fault or "as it was asked to"
        _log.warning("beginning anew: %s", fault)
        if reread is not None:
            _replace_process(reread, fault)
        life.control.finish_job()  # it may write to a database that is about to be moved aside
    if life.control.is_busy:  # Python would wait for it at the end; the state is whole at any instant
        _log.warning("an enrolment was not done: it is given up, nothing of it is kept")
        os._exit(exit_code)
    return exit_code


def _lived(config: Config, reread: Reread | None, starts: Starts) -> tuple[Life, int]:
    """One life and how it ended; what the record says of it afterwards tells the next."""
    loop = starts.begin()
    try:
        life = _new_life(config, reread, starts) if loop is None else _safe_life(config, reread, loop)
        exit_code = life.run()
    except (ConfigError, KeyboardInterrupt):  # no service manager starts that again; somebody wanted its end
        starts.forget()
        raise
    except EdgedError as error:
        if not has_manager():  # somebody reads it, and starts again when it is mended
            starts.forget()
        elif loop is None:  # else it says itself what led to safe mode, and would be told of as that the next time
            starts.failed(str(error))
        raise
    except Exception as error:
        starts.failed(f"{type(error).__name__}: {error}")
        raise
    if not life.fault:
        starts.forget()
    elif loop is None:  # else what led to safe mode says more
        starts.failed(life.fault)
    return life, exit_code


def _new_life(config: Config, reread: Reread | None, starts: Starts) -> Life:
    return Service(config, reread=reread, on_stable=starts.forget)


def _safe_life(config: Config, reread: Reread | None, loop: CrashLoop) -> Life:
    """Safe mode; but where somebody waits for the end, and looks at the exit code, it fails.

    Raises:
        StateError: of a run that has an end.
    """
    _log.error("safe mode: %s", loop)
    if config.exit_when_done:
        raise StateError(f"{loop.reason}; the last time: {loop.last_error}", fix="mend that, and run it again")
    return SafeMode(config, loop, reread=reread)


def _replace_process(reread: Reread, fault: str) -> None:
    """Become a new process of the same number; returns only where that cannot be, and the next life is as before."""
    try:
        reread()
    except ConfigError as error:
        _log.error("the configuration of before stays: %s", error)
        return
    notify(f"STATUS=beginning anew: {' '.join(fault.split())}", *watchdog_limit(STARTS_WITHIN_S))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it reads its configuration anyway
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the very command that runs
    except OSError as error:  # another version was installed meanwhile, and this one removed
        _log.error("%s: %s", sys.executable, error.strerror)
