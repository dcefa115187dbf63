"""What runs the networks: the CPU from the first second, an engine as soon as there is one that is right.

    (watcher's thread) engine found -> loaded -> compared with the CPU -> (worker, between two segments) switched to

Nothing here can delay or stop monitoring: whatever fails, the CPU goes on, and the status says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from edged.assembly import Assembly
from edged.compile.engines import EngineRecord, EngineStore, Precision
from edged.compile.loading import load_engine
from edged.compile.parity import check_quickly
from edged.compile.reference import reference_clips
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import AcceleratorError, EdgedError
from edged.flow import Embedding, Segment
from edged.runtime.keeper import BetweenSegments
from edged.runtime.messages import Announce, StatusChange

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
AGAIN_AFTER_S, MOST_S = 60.0, 3600.0
"""What failed is tried again after the first, then after twice as long, and so on up to the second: a GPU that was full
when the device started, may have room later."""
_CHECKED_CLIPS = 2
_DAEMON = "edged"
NO_ENGINE = "no engine: run `edged compile` where there is a GPU"


class Accelerated(Embedder, Protocol):
    """An embedder that holds memory of the GPU."""

    def close(self) -> None:
        """Release it; once more does nothing."""


class SwitchingEmbedder:
    """An embedder that can become another one between two batches; belongs to the worker.

    Args:
        trusted: the CPU; serves at first, and whenever the other one fails.
        on_fault: told why the other one failed; called by who embeds.
    """

    def __init__(self, trusted: Embedder, on_fault: Callable[[str], None] = lambda _: None) -> None:
        self._trusted, self._on_fault = trusted, on_fault
        self._fast: Accelerated | None = None
        self.fault = ""

    @property
    def provider(self) -> str:
        """What runs the network now; for any thread."""
        fast = self._fast
        return fast.provider if fast else self._trusted.provider

    @property
    def is_on_cpu(self) -> bool:
        """Whether nothing faster runs the network; for any thread."""
        return self._fast is None

    def embed(self, segments: Sequence[Segment]) -> list[Embedding]:
        """One embedding per segment, in order; by the CPU if what was faster fails, and from then on."""
        if self._fast is not None:
            try:
                return self._fast.embed(segments)
            except Exception as error:  # noqa: BLE001 - foreign libraries raise what they like; monitoring goes on
                self._give_up(self._fast.provider, _text(error))
        return self._trusted.embed(segments)

    def _give_up(self, provider: str, reason: str) -> None:
        _log.error("%s failed, the CPU goes on: %s", provider, reason)
        self.fault = reason
        self.use(None)
        self._on_fault(reason)

    def use(self, fast: Accelerated | None) -> None:
        """Run the network by this from the next batch on, and release what ran it before; None = the CPU."""
        before, self._fast = self._fast, fast
        if fast:
            self.fault = ""
        if before:
            _close(before)


class Backends:
    """Watches for engines, on one thread for all bundles.

    Args:
        bundles: those in use.
        between_segments: lets the worker do something between two segments.
        announce: makes a status event.
    """

    def __init__(
        self, assembly: Assembly, bundles: Sequence[Bundle], between_segments: BetweenSegments, announce: Announce
    ) -> None:
        self._assembly = assembly
        self._engines = EngineStore(assembly.config.state_path)
        self._between_segments, self._announce = between_segments, announce
        self._bundles = {bundle.digest: bundle for bundle in bundles}
        self._embedders = {
            digest: SwitchingEmbedder(assembly.embedder(bundle), partial(self._fell_back, bundle))
            for digest, bundle in self._bundles.items()
        }
        self._seen: dict[str, str] = {}
        self._waits_s: dict[str, float] = {}
        self._again_at_s: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._latest: dict[str, Accelerated] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backends", daemon=True)

    def embedder(self, bundle: Bundle) -> Embedder:
        """What embeds for a bundle, now and later."""
        return self._embedders[bundle.digest]

    def start(self) -> None:
        """Begin to look."""
        if self._assembly.config.use_gpu:
            self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End, once nobody embeds any more; whether that came in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return False
        for embedder in self._embedders.values():
            embedder.use(None)
        for made in self._latest.values():  # handed over, but the worker had ended
            _close(made)
        return True

    def status(self) -> dict[str, dict[str, str]]:
        """For `edged status`: what runs each network, and why nothing faster does."""
        found = {}
        for digest, bundle in self._bundles.items():
            embedder = self._embedders[digest]
            reason = embedder.fault or self._reasons.get(digest, "")
            found[bundle.manifest.kind + ":" + bundle.label] = {"runs_on": embedder.provider, "reason": reason}
        return found

    # -- the watcher's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            for bundle in self._bundles.values():
                if bundle.manifest.model is not None and not self._stopping.is_set():
                    self._try(bundle)
            self._stopping.wait(LOOK_EVERY_S)

    def _try(self, bundle: Bundle) -> None:
        """Look; whatever a GPU's libraries do then, the watcher goes on, and so does the CPU."""
        try:
            self._look(bundle)
        except Exception as error:  # noqa: BLE001 - a thread's top
            reason = _text(error)
            if self._reasons.get(bundle.digest) != reason:
                _log.exception("no look could be taken at what might run %s", bundle.label)
                self._stay_on_cpu(bundle, reason)

    def _look(self, bundle: Bundle) -> None:
        """Take an engine that has appeared or changed; one that failed is tried again, ever more seldom."""
        record, seen = self._found(bundle)
        if self._seen.get(bundle.digest) != seen:
            self._waits_s.pop(bundle.digest, None)
        elif time.monotonic() < self._again_at_s.get(bundle.digest, float("inf")):
            return
        self._seen[bundle.digest] = seen
        self._again_at_s.pop(bundle.digest, None)
        reason = seen if record is None and seen else NO_ENGINE
        try:
            if record is not None:
                self._hand_over(bundle, self._engine(bundle, record), "")
                return
        except EdgedError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - foreign libraries raise what they like; monitoring goes on
            _log.exception("the engine of %s cannot be used", bundle.label)
            reason = _text(error)
        if self._found(bundle)[1] == seen:  # else it was replaced meanwhile: the next look takes what is there now
            if record is not None:
                self._try_later(bundle)
            if reason != self._reasons.get(bundle.digest) or self._embedders[bundle.digest].is_on_cpu:
                self._without_engine(bundle, reason)  # else what runs instead is made already

    def _try_later(self, bundle: Bundle) -> None:
        """Not for ever: also an engine that is loaded, and fails a little later, is left alone for longer each time."""
        wait_s = self._waits_s.get(bundle.digest, AGAIN_AFTER_S)
        self._waits_s[bundle.digest] = min(2.0 * wait_s, MOST_S)
        self._again_at_s[bundle.digest] = time.monotonic() + wait_s

    def _found(self, bundle: Bundle) -> tuple[EngineRecord | None, str]:
        """The installed engine, and what tells it from others: the plan's digest, or what is wrong with the record."""
        try:
            record = self._engines.record(bundle)
            return record, record.plan_sha256 if record else ""
        except AcceleratorError as error:
            return None, str(error)

    def _engine(self, bundle: Bundle, record: EngineRecord) -> Accelerated:
        """The engine of a record, if it is for this computer and gives what it should."""
        return self._checked(bundle, load_engine(self._engines, bundle, record), record.precision)

    def _without_engine(self, bundle: Bundle, reason: str) -> None:
        """ONNX Runtime on the GPU, where it can; else the CPU, as ever."""
        from edged.embed.onnx import OnnxEmbedder, has_cuda  # noqa: PLC0415 - as in `Assembly.embedder`

        try:
            if has_cuda():
                embedder = OnnxEmbedder(bundle, on_gpu=True)
                self._hand_over(bundle, self._checked(bundle, embedder, "fp16"), reason)  # TF32 is no better than FP16
                return
        except EdgedError as error:
            reason = f"{reason}; {error}"
        self._stay_on_cpu(bundle, reason)

    def _stay_on_cpu(self, bundle: Bundle, reason: str) -> None:
        if reason not in {NO_ENGINE, self._reasons.get(bundle.digest)}:
            _log.warning("%s runs on the CPU: %s", bundle.label, reason)
            self._tell_cpu(bundle, reason)
        self._reasons[bundle.digest] = reason
        switch = self._embedders[bundle.digest]
        self._between_segments(lambda: switch.use(None))

    def _fell_back(self, bundle: Bundle, reason: str) -> None:
        """Worker's thread."""
        self._try_later(bundle)
        self._tell_cpu(bundle, reason)

    def _tell_cpu(self, bundle: Bundle, reason: str) -> None:
        self._announce(StatusChange(_DAEMON, "backend", "CPU", f"{bundle.label}: {reason}"))

    def _checked(self, bundle: Bundle, embedder: Accelerated, precision: Precision) -> Accelerated:
        """The embedder, after it gave on a few segments what another CPU embedder gives."""
        with ExitStack() as undone:
            undone.callback(embedder.close)
            trusted = Assembly(self._assembly.config).embedder(bundle)  # the shared one belongs to the worker
            segments = [segment for clip in reference_clips(bundle)[:_CHECKED_CLIPS] for segment in clip]
            check_quickly(bundle, segments, trusted, embedder, precision)
            undone.pop_all()
        return embedder

    def _hand_over(self, bundle: Bundle, embedder: Accelerated, reason: str) -> None:
        self._reasons[bundle.digest] = reason
        self._latest[bundle.digest] = embedder
        self._between_segments(lambda: self._switch(bundle, embedder))

    def _switch(self, bundle: Bundle, embedder: Accelerated) -> None:
        """Worker's thread."""
        self._embedders[bundle.digest].use(embedder)
        _log.info("%s runs on %s", bundle.label, embedder.provider)
        self._announce(StatusChange(_DAEMON, "backend", embedder.provider, f"runs {bundle.label}"))


def _close(embedder: Accelerated) -> None:
    """Release a GPU's memory; one that has failed may refuse that too."""
    try:
        embedder.close()
    except Exception:  # noqa: BLE001 - foreign libraries raise what they like
        _log.exception("the memory of %s is left to the end of the process", embedder.provider)


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, EdgedError) else f"{type(error).__name__}: {error}"
