"""All measurements, in order.

    machine -> site -> every network (batches) -> every monitor (stages) -> every device (capture)
    -> a daemon in real time -> what is to be expected

What is found is there at once: who interrupts it keeps what was measured.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from edged.assembly import MONITOR_NAMES, Assembly, MonitorName
from edged.bench import report
from edged.bench.capacity import Real, Room, StreamCost, predict, real_over_hot
from edged.bench.capture import CaptureBench, CaptureCost
from edged.bench.energy import Meter, find_meter, measured
from edged.bench.machine import machine_facts, memory_mib, usable_cores
from edged.bench.networks import CPU_SIZES, GPU_SIZES, BatchTime, batch_times, choices, opened, some_segments
from edged.bench.rehearsal import Rehearsed, rehearse
from edged.bench.site import make_site, shipped, steady_sound
from edged.bench.stages import MonitorCost, StageBench
from edged.bench.throttling import between, look
from edged.compile.engines import EngineStore
from edged.config import Config
from edged.doctor.finding import Host
from edged.embed.bundle import Bundle
from edged.flow import SAMPLE_RATE_HZ
from edged.pipeline import AnomalyMonitor, KeywordMonitor, Monitor
from edged.references.store import BankStore

LEAST_REHEARSAL_S = 8.0
_IDLE_S = 2.0
_SETTLE_SPARE_S = 2.0
_SHARES = {"networks": 0.1, "monitors": 0.3, "capture": 0.1, "rehearsal": 0.5}
_MOST_REHEARSED_LOAD = 0.5
"""Of one core: more streams than this tell nothing more, and would disturb what else runs here."""
_LEAST_DONE = 0.1
_BYTES_PER_S = 2 * SAMPLE_RATE_HZ


class Bench:
    """One run.

    Args:
        config: its streams are measured; None = the shipped bundles.
        state: where engines are looked for without a configuration.
        seconds: about how long.
        tell: takes sentences about the progress.
    """

    def __init__(
        self,
        config: Config | None,
        state: Path | None,
        seconds: float,
        tell: Callable[[str], None],
        host: Host | None = None,
    ) -> None:
        self._is_shipped = config is None
        self._config = config or shipped().model_copy(update={"state_dir": state} if state else {})
        self._seconds, self._tell, self._host = seconds, tell, host or Host()
        self._meter: Meter | None = None
        self._on_gpu: dict[str, tuple[str, list[BatchTime]]] = {}
        self.found: dict[str, Any] = {}

    def run(self) -> None:
        """Measure; `found` grows meanwhile, and what it holds is whole at any time."""
        self._began = look(self._host)
        with tempfile.TemporaryDirectory(prefix="edged-bench-") as directory, ExitStack() as stack:
            self.found["machine"] = machine_facts(self._host)
            self._meter, why_none = find_meter(self._host)
            if self._meter:
                stack.callback(self._meter.close)
            self.found["energy"] = {"source": self._meter.source if self._meter else None, "reason": why_none}
            try:
                self._measure(Path(directory))
            finally:
                self.found["disturbance"] = between(self._began, look(self._host))

    def _measure(self, directory: Path) -> None:
        self._room_mib = memory_mib(self._host, "MemAvailable")
        self._tell("preparing references")
        self._site = make_site(self._config, directory)
        self.found["streams"] = report.site_facts(self._site, is_shipped=self._is_shipped)
        self._idle()
        self._assembly = Assembly(self._site.config)
        self._measure_networks()
        streams = self._stream_costs()
        self._expect(streams, Real(), None)
        rehearsed, names = self._rehearse(streams)
        daemon_load = rehearsed.daemon_load / max(min(rehearsed.done, 1.0), _LEAST_DONE)
        real = real_over_hot([streams[name] for name in names], daemon_load, rehearsed.children_load)
        self._expect(streams, real, rehearsed)

    def _idle(self) -> None:
        if self._meter is None:
            return
        self._tell(f"the computer at rest, {_IDLE_S:g} s")
        with measured(self._meter) as span:
            time.sleep(_IDLE_S)
        self.found["energy"]["idle_w"] = report.rounded(span.watts)

    # -- networks ------------------------------------------------------------------------------------------------------

    def _measure_networks(self) -> None:
        """Every bundle in use, on everything that could run it."""
        bundles = self._bundles()
        engines = EngineStore(self._site.config.state_path)
        self.found["networks"] = []
        for bundle in bundles:
            for choice in choices(bundle, engines):
                with opened(choice) as embedder:
                    if isinstance(embedder, str):
                        self.found["networks"].append(report.absent_network(bundle, choice.name, embedder))
                        continue
                    self._tell(f"{bundle.manifest.kind} network, {embedder.provider}, batches")
                    sizes = GPU_SIZES if choice.on_gpu else CPU_SIZES
                    times = batch_times(bundle, embedder, sizes, self._share_s("networks", len(bundles)))
                    self.found["networks"].append(
                        report.network_facts(bundle, embedder.provider, times, on_gpu=choice.on_gpu)
                    )
                    if choice.on_gpu and times and self._config.use_gpu:
                        self._on_gpu[bundle.digest] = embedder.provider, times

    def _bundles(self) -> list[Bundle]:
        found = {m.digest: m for name in self._site.config.streams for m in self._bundles_of(name)}
        return list(found.values())

    def _bundles_of(self, stream: str) -> list[Bundle]:
        return [self._assembly.bundle(stream, monitor) for monitor in self._monitor_names(stream)]

    def _monitor_names(self, stream: str) -> list[MonitorName]:
        chosen = self._site.config.streams[stream].monitors
        return [name for name in MONITOR_NAMES if getattr(chosen, name) is not None]

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stream_costs(self) -> dict[str, StreamCost]:
        """Of every stream; what is alike is measured once."""
        with BankStore(self._site.config.state_path) as store:
            monitors = {
                stream: [self._assembly.monitor(store, stream, name) for name in self._monitor_names(stream)]
                for stream in self._site.config.streams
            }
        costs = self._monitor_costs(monitors)
        captures = self._capture_costs(monitors)
        return {
            name: StreamCost(name, captures[one.device], tuple(costs[_key(m)] for m in monitors[name]))
            for name, one in self._site.config.streams.items()
        }

    def _monitor_costs(self, monitors: dict[str, list[Monitor]]) -> dict[tuple[object, ...], MonitorCost]:
        unlike = {_key(monitor): monitor for listed in monitors.values() for monitor in listed}
        block_samples = round(self._config.capture.block_ms * SAMPLE_RATE_HZ / 1000)
        sound, costs = steady_sound(), {}
        self.found["stages"] = []
        with measured(self._meter) as span:
            for key, monitor in unlike.items():
                self._tell(f"{monitor.name} stages, references of '{monitor.stream}'")
                bench = StageBench(monitor, self._assembly.embedder(monitor.bundle), block_samples)
                cost = bench.run(sound, self._share_s("monitors", len(unlike)))
                self.found["stages"].append(report.monitor_facts(cost, key[2:]))
                costs[key] = self._as_run(monitor.bundle, cost)
        self.found["energy"]["one_core_w"] = report.rounded(span.watts)
        return costs

    def _as_run(self, bundle: Bundle, cost: MonitorCost) -> MonitorCost:
        """As the daemon would run it: on the GPU, where there is one."""
        if bundle.digest not in self._on_gpu:
            return cost
        provider, times = self._on_gpu[bundle.digest]
        n_streams = len(self._site.config.streams)
        usual = [time for time in times if time.size <= n_streams][-1]
        return cost.run_by(provider, times[0].p50_s, times[0].p99_s, usual.segment_s)

    def _capture_costs(self, monitors: dict[str, list[Monitor]]) -> dict[str, CaptureCost]:
        """Of every device; what is alike is measured once."""
        config = self._site.config
        devices = {device: self._site.streams_of(device) for device in self._site.source_of}
        keys = {
            device: (spec.target, tuple(config.streams[name].channel for name in devices[device]))
            for device, spec in self._site.source_of.items()
            if devices[device]
        }
        known: dict[tuple[str, tuple[int, ...]], CaptureCost] = {}
        for device, key in keys.items():
            if key in known:
                continue
            self._tell(f"capture, device '{device}'")
            spec, first = self._site.source_of[device], devices[device][0]
            bundle = monitors[first][0].bundle
            work = partial(self._assembly.embedder(bundle).embed, some_segments(bundle)[:1])
            directory = self._site.directory
            bench = CaptureBench(spec, key[1], monitors[first], config.capture, directory=directory, work=work)
            known[key] = bench.run(self._share_s("capture", len(set(keys.values()))))
        self.found["capture"] = [report.capture_facts(target, cost) for (target, _), cost in known.items()]
        return {device: known[key] for device, key in keys.items()}

    # -- real time -----------------------------------------------------------------------------------------------------

    def _rehearse(self, streams: dict[str, StreamCost]) -> tuple[Rehearsed, list[str]]:
        """As many devices as do not disturb what else runs here; what was seen, and the names of their streams."""
        devices: list[str] = []
        load = 0.0
        for device in self._site.config.devices:
            names = self._site.streams_of(device)
            load += sum(streams[name].daemon_load + streams[name].child[1] for name in names)
            if names and (load < _MOST_REHEARSED_LOAD or not devices):
                devices.append(device)
        config = self._site.part(devices)
        settle_s = max(b.manifest.segment_samples for b in self._bundles()) / SAMPLE_RATE_HZ + _SETTLE_SPARE_S
        seconds = max(LEAST_REHEARSAL_S, self._share_s("rehearsal", 1) - settle_s)
        self._tell(f"a daemon with {len(config.streams)} streams in real time, {settle_s + seconds:.0f} s")
        with measured(self._meter) as span:
            rehearsed = rehearse(config, self._site.directory, settle_s, seconds)
        self.found["rehearsal"] = report.rehearsal_facts(rehearsed)
        self.found["energy"]["rehearsal_w"] = report.rounded(span.watts)
        return rehearsed, list(config.streams)

    # -- what is to be expected ----------------------------------------------------------------------------------------

    def _expect(self, streams: dict[str, StreamCost], real: Real, rehearsed: Rehearsed | None) -> None:
        """For each kind of the shipped streams, or for the configuration as a whole."""
        ring_mib = self._config.capture.ring_s * _BYTES_PER_S / 2**20
        child_mib = rehearsed.child.private if rehearsed else 0.0
        n_devices = len({one.device for one in self._site.config.streams.values()})
        stream_mib = ring_mib + child_mib * n_devices / len(streams)
        free_mib = self._room_mib - (rehearsed.daemon.resident if rehearsed else 0.0)
        cores = usable_cores(self._host)
        others = between(self._began, look(self._host))["others_busy_cores"]
        room = Room(cores, max(0.0, cores - others), free_mib, stream_mib, self._config.capture.block_ms / 1000)
        mixes = {name: [one] for name, one in streams.items()} if self._is_shipped else {"": list(streams.values())}
        self.found["capacity"] = [
            report.capacity_facts(name, predict(mix, room, real), is_rehearsed=rehearsed is not None)
            for name, mix in mixes.items()
        ]

    def _share_s(self, part: str, n: int) -> float:
        return self._seconds * _SHARES[part] / n


def _key(monitor: Monitor) -> tuple[object, ...]:
    """What a monitor's cost depends on: its kind, its bundle, and how much it is compared with."""
    if isinstance(monitor, AnomalyMonitor) and monitor.bank:
        vectors = next(iter(monitor.bank.references.values())).vectors
        backends = tuple(sorted(str(facts) for facts in monitor.bank.fitted_by.backends))
        return monitor.name, monitor.bundle.digest, f"{len(vectors)} reference vectors", backends
    if isinstance(monitor, KeywordMonitor) and monitor.bank:
        rows = [len(template) for template in monitor.bank.model.templates]
        return monitor.name, monitor.bundle.digest, f"{len(rows)} templates, {sum(rows)} rows", ()
    return monitor.name, monitor.bundle.digest, "", ()
