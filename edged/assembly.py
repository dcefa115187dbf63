"""From a configuration and a state directory to monitors that can run: which bundle, which embedder, which bank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from edged.config import AnomalySettings, Config, KeywordSettings, Scoring
from edged.embed.bundle import Bundle, load_bundle
from edged.embed.protocol import Embedder
from edged.errors import ConfigError, StateError, UsageError
from edged.pipeline import AnomalyMonitor, KeywordMonitor, Monitor
from edged.references import anomaly, keyword
from edged.references.keyword_history import NearMissHistory
from edged.references.keyword_limits import Heard
from edged.references.store import BankStore
from edged.references.thresholds import FoundThresholds, ThresholdStore

MonitorName = Literal["anomaly", "keyword"]
MONITOR_NAMES: tuple[MonitorName, ...] = ("anomaly", "keyword")


def open_bundle(name: str | Path) -> Bundle:
    """A bundle by directory, or one of the two that ship with edged: ``anomaly``, ``keyword``.

    Raises:
        BundleError: it is absent or damaged.
    """
    shipped = Path(str(resources.files("edged"))) / "bundles" / str(name)
    return load_bundle(shipped if str(name) in MONITOR_NAMES else Path(name))


class Assembly:
    """Builds monitors for the streams of a configuration; bundles and embedders are opened once and shared.

    A stream that the configuration does not name gets the default bundles and settings, so that the offline commands
    need no configuration.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._bundles: dict[str, Bundle] = {}
        self._embedders: dict[str, Embedder] = {}

    def settings(self, stream: str, monitor: MonitorName) -> AnomalySettings | KeywordSettings:
        """The settings in force for a monitor."""
        configured = self.config.streams.get(stream)
        chosen = getattr(configured.monitors, monitor) if configured else None
        if chosen is not None:
            return chosen  # type: ignore[no-any-return]
        return AnomalySettings() if monitor == "anomaly" else KeywordSettings()

    def scoring(self, stream: str) -> Scoring:
        """The back ends that a stream's anomaly references are to be fitted by."""
        settings = self.settings(stream, "anomaly")
        return settings.scoring if isinstance(settings, AnomalySettings) else AnomalySettings().scoring

    def bundle(self, stream: str, monitor: MonitorName) -> Bundle:
        """The bundle of a monitor.

        Raises:
            ConfigError: the configured bundle is of the other kind.
        """
        chosen = self.settings(stream, monitor).bundle
        name = monitor if chosen == "default" else chosen
        if name not in self._bundles:
            self._bundles[name] = open_bundle(name)
        bundle = self._bundles[name]
        if bundle.manifest.kind != monitor:
            raise ConfigError(f"streams.{stream}.monitors.{monitor}.bundle: {name} is a {bundle.manifest.kind} bundle")
        return bundle

    def embedder(self, bundle: Bundle) -> Embedder:
        """The embedder of a bundle."""
        from edged.embed.onnx import OnnxEmbedder  # noqa: PLC0415 - loading the runtime takes long; not all need it

        if bundle.digest not in self._embedders:
            self._embedders[bundle.digest] = OnnxEmbedder(bundle)
        return self._embedders[bundle.digest]

    def bank(
        self, store: BankStore, stream: str, monitor: MonitorName
    ) -> anomaly.AnomalyBank | keyword.KeywordBank | None:
        """The active bank of a monitor, or None."""
        stored = store.load_active(stream, monitor)
        if stored is None:
            return None
        bundle = self.bundle(stream, monitor)
        return anomaly.bank_of_store(stored, bundle) if monitor == "anomaly" else keyword.bank_of_store(stored, bundle)

    def monitor(self, store: BankStore, stream: str, monitor: MonitorName, *, all_matches: bool = False) -> Monitor:
        """A monitor with its active bank.

        Raises:
            StateError: the bank cannot be used.
        """
        built = self._without_bank(stream, monitor, all_matches)
        self._equip(built, store, stream, monitor)
        return built

    def configured_monitors(
        self, store: BankStore, stream: str, on_unusable: Callable[[MonitorName, StateError], None]
    ) -> list[Monitor]:
        """The monitors that the configuration puts on a stream.

        A bank that cannot be used (damaged, or made with another bundle) is reported and left out: the rest of the
        plant is listened to all the same.
        """
        wanted = self.config.streams[stream].monitors
        monitors = []
        for name in (name for name in MONITOR_NAMES if getattr(wanted, name) is not None):
            monitor = self._without_bank(stream, name)
            try:
                self._equip(monitor, store, stream, name)
            except StateError as error:
                on_unusable(name, error)
            monitors.append(monitor)
        return monitors

    def link_references(self, monitors: Mapping[str, Sequence[Monitor]]) -> None:
        """Let the anomaly monitors of streams with a `reference_stream` discount what that one hears.

        Args:
            monitors: the running ones by stream.
        """
        anomaly_of = {name: m for name, listed in monitors.items() for m in listed if isinstance(m, AnomalyMonitor)}
        for name, settings in self.config.streams.items():
            near, far = anomaly_of.get(name), anomaly_of.get(settings.reference_stream or "")
            if near and far:
                near.discount_by(far, settings.reference_share)

    def reference_monitor(self, store: BankStore, stream: str) -> tuple[Monitor, int] | None:
        """The anomaly monitor of a stream's reference stream and its channel; None if there is nothing to discount."""
        settings = self.config.streams.get(stream)
        far = settings.reference_stream if settings else None
        if far is None or not store.active_version(far, "anomaly"):
            return None
        return self.monitor(store, far, "anomaly"), self.config.streams[far].channel

    def _equip(self, built: Monitor, store: BankStore, stream: str, monitor: MonitorName) -> None:
        """The active bank, and the thresholds that were found for it."""
        built.use_bank(self.bank(store, stream, monitor))
        if isinstance(built, AnomalyMonitor) and built.settings.false_alarms_per_day is not None:
            built.use_found_thresholds(self.found_thresholds(stream, monitor))
        if isinstance(built, KeywordMonitor) and built.settings.false_alarms_per_hour is not None and built.bank:
            built.use_heard(self.heard_by(stream, built.bank))

    def heard_by(self, stream: str, bank: keyword.KeywordBank) -> Heard:
        """What came near to each word (by its identity) on a stream; nothing where that cannot be read."""
        words = [bank.model.identity(place) for place in range(len(bank.model.words))]
        try:
            with NearMissHistory(self.config.state_path) as history:
                return {word: history.parts(stream, word) for word in words}
        except StateError:
            return {}

    def found_thresholds(self, stream: str, monitor: MonitorName) -> FoundThresholds | None:
        """Those of the state; damaged ones are as good as none: the daemon finds them anew from what it heard."""
        try:
            with ThresholdStore(self.config.state_path) as thresholds:
                return thresholds.load(stream, monitor)
        except StateError:
            return None

    def _without_bank(self, stream: str, monitor: MonitorName, all_matches: bool = False) -> Monitor:
        bundle, settings = self.bundle(stream, monitor), self.settings(stream, monitor)
        if isinstance(settings, AnomalySettings):
            anomaly.check_scoring(bundle, settings.scoring)  # known before anybody enrols
            return AnomalyMonitor(stream, bundle, settings)
        return KeywordMonitor(stream, bundle, settings, all_matches=all_matches)

    def enrolled_monitors(self, store: BankStore, stream: str, *, all_matches: bool = False) -> list[Monitor]:
        """A monitor for everything enrolled on a stream.

        Raises:
            UsageError: nothing is enrolled there.
        """
        names = [name for name in MONITOR_NAMES if store.active_version(stream, name)]
        if not names:
            raise UsageError(f"stream '{stream}': nothing is enrolled", fix="run `edged enroll --clips DIR` first")
        return [self.monitor(store, stream, name, all_matches=all_matches) for name in names]


def chosen_stream(config: Config, store: BankStore, name: str | None) -> str:
    """The named stream, or the only one there is.

    Raises:
        UsageError: none was named and there is not exactly one.
    """
    if name is not None:
        return name
    known = sorted({*config.streams, *(stream for stream, _ in store.streams())})
    if len(known) != 1:
        raise UsageError(f"--stream is needed: {len(known)} streams are known ({', '.join(known) or 'none'})")
    return known[0]
