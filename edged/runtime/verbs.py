"""What the control socket can ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from edged.assembly import MONITOR_NAMES, Assembly
from edged.config import Config
from edged.control.server import Verb
from edged.errors import ControlError, StateError, UsageError
from edged.events.replay import replay
from edged.events.schema import Journalled
from edged.pipeline import Monitor
from edged.references.enroll import Terms, enroll_domain, enroll_events, enroll_paths
from edged.references.feedback import give_feedback
from edged.references.overview import overview
from edged.references.refit import refit_stream
from edged.references.signing import parsed_public
from edged.references.store import BankStore
from edged.references.transfer import export_bank, import_bank
from edged.runtime.arguments import (
    BankArgs,
    CounterArgs,
    EnrollArgs,
    ExportArgs,
    FeedbackArgs,
    ImportArgs,
    NoArgs,
    RefitArgs,
    ReplayArgs,
    TailArgs,
    parsed,
)
from edged.runtime.just_heard import just_heard
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.sending import Sending
from edged.runtime.stream import Stream

ARCHIVE_NAME = "bank.edged-bank"

UseBank = Callable[[Any, Any], None]


class Verbs:
    """Acts on the state directory and on the running streams.

    Args:
        streams: the running ones by name.
        use_bank: gives a monitor its new references (the worker does it between two segments).
        announce: makes a status event.
        status: the daemon's status.
        stop: asks the daemon to stop.
        restart: asks it to begin anew; raises where the configuration forbids it.
        take_settings: reads the configuration again and takes over its thresholds; which changed, and what needs a
            restart.
        waiting: what was published and is not in the journal yet.
    """

    def __init__(
        self,
        config: Config,
        streams: Mapping[str, Stream],
        *,
        use_bank: UseBank,
        announce: Announce,
        status: Callable[[], dict[str, Any]],
        stop: Callable[[], None],
        restart: Callable[[], None] = lambda: None,
        take_settings: Callable[[], tuple[list[str], list[str]]] = lambda: ([], []),
        waiting: Callable[[], list[Journalled]] = list,
    ) -> None:
        self._config, self._streams = config, streams
        self._use_bank, self._announce, self._status = use_bank, announce, status
        self._stop, self._restart = stop, restart
        self._take_settings, self._waiting = take_settings, waiting
        self._sending = Sending(config)
        self._refreshing = threading.Lock()
        self._given: dict[tuple[str, str], int] = {}  # versions that monitors have, or take at their next segment

    @property
    def quick(self) -> dict[str, Verb]:
        """Verbs that answer at once."""
        return {
            "status": lambda _: self._status(),
            "score.tail": self.score_tail,
            "events.replay": self.replay,
            "references.show": self.show,
            "stop": self.stop,
            "restart": self.restart,
            **self._sending.verbs,
        }

    @property
    def long(self) -> dict[str, Verb]:
        """Verbs that may take long."""
        return {
            "enroll": self.enroll,
            "feedback": self.feedback,
            "references.rollback": self.rollback,
            "references.remove": self.remove,
            "references.refit": self.refit,
            "references.export": self.export,
            "references.import": self.import_,
            "reload": self.reload,
        }

    def stop(self, args: dict[str, Any]) -> dict[str, Any]:
        """Stop the daemon."""
        parsed(NoArgs, args)
        self._stop()
        return {}

    def restart(self, args: dict[str, Any]) -> dict[str, Any]:
        """Let the daemon begin anew, by its configuration as it is now.

        Raises:
            ConfigError: that cannot be used; nothing happens.
        """
        parsed(NoArgs, args)
        self._restart()
        return {}

    def tidy(self) -> None:
        """Remove what clients began to send and never finished; to be called now and then."""
        self._sending.tidy()

    def score_tail(self, args: dict[str, Any]) -> dict[str, Any]:
        """The latest scores of a stream, oldest first."""
        wanted = parsed(TailArgs, args)
        scores = list(self._running(wanted.stream).scores)[-wanted.limit :]
        return {"scores": [score.fields() for score in scores]}

    def replay(self, args: dict[str, Any]) -> dict[str, Any]:
        """Past events, oldest first, at most ``limit``; see `edged.events.replay`."""
        wanted = parsed(ReplayArgs, args)
        return replay(self._config.state_path, waiting=self._waiting, **wanted.model_dump())

    def show(self, args: dict[str, Any]) -> dict[str, Any]:
        """What is enrolled on a stream."""
        wanted = parsed(BankArgs, args)
        with BankStore(self._config.state_path) as store:
            return overview(store, wanted.stream)

    def enroll(self, args: dict[str, Any]) -> dict[str, Any]:
        """Enrol clips; the running monitor takes the new bank at its next segment."""
        wanted = parsed(EnrollArgs, args)
        is_sent = wanted.transfer is not None
        n_kinds = bool(wanted.clips) + is_sent + bool(wanted.events) + (wanted.last_s is not None)
        if n_kinds != 1 and not (n_kinds == 0 and wanted.changes_word):
            raise UsageError("enroll: name clips, or events, or last_s, or a transfer")
        assembly = Assembly(self._config)
        with BankStore(self._config.state_path) as store:
            report = self._enrolled(assembly, store, wanted)
            self._refresh(assembly, store)
        return report

    def _enrolled(self, assembly: Assembly, store: BankStore, wanted: EnrollArgs) -> dict[str, Any]:
        terms = Terms(wanted.dry_run, wanted.force)
        if wanted.keyword is not None and (wanted.events or wanted.last_s is not None):
            raise UsageError("enroll: a keyword needs clips that hold the word and nothing else")
        if wanted.events:
            return enroll_events(assembly, store, wanted.stream, wanted.events, domain=wanted.domain, terms=terms)
        if wanted.stream is None:
            raise ControlError("argument stream: Field required")
        if wanted.last_s is None:
            with ExitStack() as held:
                paths = [] if wanted.changes_word else held.enter_context(self._files(wanted))
                counters = {name: held.enter_context(self._files(own)) for name, own in wanted.counters.items()}
                facts = enroll_paths(
                    assembly, store, wanted.stream, paths, domain=wanted.domain, keyword=wanted.keyword,
                    counters=counters, average=wanted.average, channel=wanted.channel, terms=terms,
                )  # fmt: skip
            return self._sending.for_client(facts)
        clips, notes = just_heard(self._running(wanted.stream), wanted.last_s)
        report = enroll_domain(assembly, store, wanted.stream, clips, domain=wanted.domain, terms=terms)
        return report.facts() | {"notes": [*notes, *report.notes]}

    def _files(self, wanted: EnrollArgs | CounterArgs) -> AbstractContextManager[list[Path]]:
        return self._sending.files(wanted.transfer, wanted.clips)

    def feedback(self, args: dict[str, Any]) -> dict[str, Any]:
        """Act on what an operator says of an event; the running monitor takes the new bank at its next segment."""
        wanted = parsed(FeedbackArgs, args)
        assembly = Assembly(self._config)
        with BankStore(self._config.state_path) as store:
            report = give_feedback(
                assembly, store, wanted.event, wanted.verdict,
                domain=wanted.domain, dry_run=wanted.dry_run, force=wanted.force,
            )  # fmt: skip
            self._refresh(assembly, store)
        return report

    def rollback(self, args: dict[str, Any]) -> dict[str, Any]:
        """Go back to an earlier version of a bank."""
        wanted = parsed(BankArgs, args)
        with BankStore(self._config.state_path) as store:
            version = store.rollback(wanted.stream, wanted.monitor, wanted.version)
            self._refresh(Assembly(self._config), store)
        return {"stream": wanted.stream, "monitor": wanted.monitor, "version": version}

    def remove(self, args: dict[str, Any]) -> dict[str, Any]:
        """Forget what is enrolled."""
        wanted = parsed(BankArgs, args)
        with BankStore(self._config.state_path) as store:
            if not store.versions(wanted.stream, wanted.monitor):
                what = f"{wanted.stream} / {wanted.monitor}"
                raise StateError(f"{what}: nothing was ever enrolled", fix="`edged references show` lists what is")
            store.remove(wanted.stream, wanted.monitor)
            self._refresh(Assembly(self._config), store)
        return {"stream": wanted.stream, "monitor": wanted.monitor, "version": 0}

    def refit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Fit a stream's anomaly references again, by the scoring the configuration names now."""
        wanted = parsed(RefitArgs, args)
        assembly = Assembly(self._config)
        with BankStore(self._config.state_path) as store:
            report = refit_stream(assembly, store, wanted.stream)
            self._refresh(assembly, store)
        return dict(vars(report))

    def export(self, args: dict[str, Any]) -> dict[str, Any]:
        """Make a bank a signed archive, for the client to fetch."""
        wanted = parsed(ExportArgs, args)
        state = self._config.state_path
        with BankStore(state) as store, self._sending.to_fetch(ARCHIVE_NAME) as (transfer, path):
            report = export_bank(store, state, wanted.stream, wanted.monitor, path)
        return self._sending.for_client(report) | {"transfer": transfer}

    def import_(self, args: dict[str, Any]) -> dict[str, Any]:
        """Take over the bank of a signed archive that was sent, or that lies where requests may name files."""
        wanted = parsed(ImportArgs, args)
        if (wanted.transfer is None) == (wanted.file is None):
            raise UsageError("references.import: name a file, or a transfer")
        assembly, state = Assembly(self._config), self._config.state_path
        signer = None if wanted.signer is None else parsed_public(wanted.signer)  # no file: errors quote what one says
        named = [wanted.file] if wanted.file is not None else []
        with BankStore(state) as store, self._sending.files(wanted.transfer, named) as paths:
            if len(paths) != 1:
                raise UsageError(f"references.import: one archive, not {len(paths)} files")
            report = import_bank(assembly, store, state, wanted.stream, paths[0], signer=signer, dry_run=wanted.dry_run)
            self._refresh(assembly, store)
        return report

    def reload(self, args: dict[str, Any]) -> dict[str, Any]:
        """Take over every bank that was changed by others, and the thresholds of a changed configuration."""
        parsed(NoArgs, args)
        changed, waiting = self._take_settings()
        with BankStore(self._config.state_path) as store:
            changed += self._refresh(Assembly(self._config), store)
        return {"changed": changed, "needs_restart": waiting}

    def _refresh(self, assembly: Assembly, store: BankStore) -> list[str]:
        """Give running monitors the banks that are active now, one caller after the other; which were changed."""
        with self._refreshing:
            return [
                f"{stream.name}/{monitor.name}"
                for stream in self._streams.values()
                for monitor in stream.monitors
                if self._refreshed(assembly, store, stream.name, monitor)
            ]

    def _refreshed(self, assembly: Assembly, store: BankStore, stream: str, monitor: Monitor) -> bool:
        """Whether a monitor gets another bank than it was given last, whether it has taken that yet or not."""
        name = next(known for known in MONITOR_NAMES if known == monitor.name)
        version = store.active_version(stream, name)
        if version == self._given.setdefault((stream, name), monitor.bank_version):
            return False
        try:
            self._use_bank(monitor, assembly.bank(store, stream, name))
        except StateError as error:  # what is committed stands, and the others' references are not held back
            self._announce(StatusChange(stream, "bank", "unusable", f"{name} references: {error}"))
            return False
        self._given[stream, name] = version
        self._announce(StatusChange(stream, "bank", str(version), f"{name} references"))
        return True

    def _running(self, name: str) -> Stream:
        if name not in self._streams:
            known = ", ".join(self._streams) or "none"
            raise UsageError(f"no running stream '{name}'", fix=f"running: {known}")
        return self._streams[name]
