"""`edged compile`: build, compare, install; the engine that serves stays until a better one has passed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import numpy as np

from edged.assembly import Assembly
from edged.compile.engines import EngineRecord, EngineStore, Hardware, Precision
from edged.compile.hardware import this_hardware
from edged.compile.judges import enrolled_judges, probe_judge
from edged.compile.parity import Parity, compare
from edged.compile.reference import reference_clips
from edged.embed.bundle import Bundle, file_sha256
from edged.embed.protocol import Embedder
from edged.errors import AcceleratorError, BundleError
from edged.flow import Embedding, Float32Array, Segment
from edged.references.store import BankStore

if TYPE_CHECKING:
    from edged.compile.builder import Order

Say = Callable[[str], None]
_CALIBRATED = 128
_REFUSED_FIX = "try another --precision, or --force to build it again; the daemon goes on with what it has"


@dataclass(frozen=True)
class Wish:
    """How an engine is to be built.

    Attributes:
        precision: ``auto``: FP16, or FP32 where this TensorRT cannot make FP16 of the bundle, or none that is right.
        force: even if there is an equal one.
        max_batch: most segments at once; `best_batch` is what it is tuned for.
        optimisation_level: of the builder, 0 (quick build) to 5 (quick engine).
    """

    precision: Precision | Literal["auto"] = "auto"
    force: bool = False
    max_batch: int = 32
    best_batch: int = 4
    workspace_mib: int = 512
    optimisation_level: int = 3

    @property
    def profile(self) -> tuple[int, int, int]:
        """Least, best and most."""
        return 1, min(self.best_batch, self.max_batch), self.max_batch


@dataclass(frozen=True)
class Compiled:
    """What came of it.

    Attributes:
        state: ``built``, ``up to date``, or ``nothing to do`` for a bundle without a network.
    """

    bundle: str
    state: Literal["built", "up to date", "nothing to do"]
    record: EngineRecord | None = None
    parity: Parity | None = None
    seconds: float = 0.0


def compile_bundle(bundle: Bundle, wish: Wish, assembly: Assembly, say: Say = lambda _text: None) -> Compiled:
    """An engine for a bundle, on this device, in the state directory.

    Args:
        say: takes what people may want to watch.

    Raises:
        AcceleratorError: there is no GPU or no TensorRT, it cannot build, or what it built is not right; the engine
            before stays.
    """
    if bundle.manifest.model is None:
        return Compiled(bundle.label, "nothing to do")
    if wish.precision != "auto":
        return _compiled(bundle, wish, wish.precision, assembly, say)
    try:
        return _compiled(bundle, wish, "fp16", assembly, say)
    except _NoSuchEngineError as error:
        say(f"{error.message}; taking fp32")
        return _compiled(bundle, wish, "fp32", assembly, say)


class _NoSuchEngineError(AcceleratorError):
    """Of this precision there is no right engine here; of another there may be."""


def _compiled(bundle: Bundle, wish: Wish, precision: Precision, assembly: Assembly, say: Say) -> Compiled:
    """An engine of a precision.

    Raises:
        AcceleratorError: as `compile_bundle`.
    """
    hardware = this_hardware()
    order, source = _order(bundle, wish, precision)
    wanted = _record(bundle, order, source, hardware)
    engines = EngineStore(assembly.config.state_path)
    if not wish.force:
        if installed := _equal(engines, bundle, wanted):
            return Compiled(bundle.label, "up to date", installed)
        if reason := engines.refusal(bundle, wanted):
            raise _NoSuchEngineError(f"{bundle.label}: {precision} engine refused before: {reason}", fix=_REFUSED_FIX)
    started_s = time.monotonic()
    say(f"{bundle.label}: building {order.precision} for {hardware.device} (minutes, the first time)")
    plan = _built(order, engines, hardware, say)
    say(f"{bundle.label}: comparing it with ONNX Runtime")
    parity = _parity(bundle, plan, order.precision, assembly)
    if isinstance(parity, str) or parity.failures:
        reason = parity if isinstance(parity, str) else "; ".join(parity.failures)
        with contextlib.suppress(OSError):
            engines.note_refusal(bundle, wanted, reason)
        raise _NoSuchEngineError(f"{bundle.label}: {precision} engine refused: {reason}", fix=_REFUSED_FIX)
    built_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    record = wanted.model_copy(update={"parity": parity.as_figures(), "built_at": built_at})
    installed = engines.install(bundle, record, plan)
    return Compiled(bundle.label, "built", installed, parity, time.monotonic() - started_s)


def _equal(engines: EngineStore, bundle: Bundle, wanted: EngineRecord) -> EngineRecord | None:
    """An installed engine that a build would only make again; a damaged one is as good as none."""
    try:
        installed = engines.record(bundle)
        if installed is None or installed.fingerprint != wanted.fingerprint:
            return None
        engines.plan(bundle, installed)
    except AcceleratorError:
        return None
    return installed


def _order(bundle: Bundle, wish: Wish, precision: Precision) -> tuple[Order, str]:
    """What the builder gets, and the sha256 of the file it is made of."""
    from edged.compile.builder import Order, typing_of  # noqa: PLC0415 - imports tensorrt

    assert bundle.manifest.model is not None  # noqa: S101 - the caller looked
    own = bundle.typed_model_path(precision)
    try:
        typing = typing_of(precision, has_types=own is not None)
    except AcceleratorError as error:
        raise _NoSuchEngineError(f"{bundle.label}: {error.message}", fix=error.fix) from error
    if typing == "weak" and precision == "fp16":  # the builder itself chooses where 16 bits do no harm
        own = None
    path = own or bundle.model_path
    assert path is not None  # noqa: S101 - a manifest with a model has its file
    needs_calibration = precision == "int8" and own is None
    order = Order(
        path.read_bytes(), own is not None, bundle.manifest.model, precision, typing, wish.profile,
        wish.workspace_mib, wish.optimisation_level, _calibration(bundle) if needs_calibration else {},
    )  # fmt: skip
    return order, file_sha256(path)


def _calibration(bundle: Bundle) -> dict[str, Float32Array]:
    """Inputs of the reference clips: (n, ...) each."""
    features = [segment.features for clip in reference_clips(bundle) for segment in clip][:_CALIBRATED]
    inputs = bundle.manifest.model.inputs if bundle.manifest.model else ()
    return {spec.name: np.stack([one[spec.name] for one in features]) for spec in inputs}


def _record(bundle: Bundle, order: Order, source: str, hardware: Hardware) -> EngineRecord:
    return EngineRecord(
        network=bundle.vectors_digest,
        source=source,
        precision=order.precision,
        typing=order.typing,
        profile=order.profile,
        settings={"workspace_mib": order.workspace_mib, "optimisation_level": order.optimisation_level},
        hardware=hardware,
    )


def _built(order: Order, engines: EngineStore, hardware: Hardware, say: Say) -> bytes:
    """The engine; with the timing cache before and after."""
    from edged.compile.builder import build  # noqa: PLC0415
    from edged.embed.cuda import Device  # noqa: PLC0415
    from edged.embed.tensorrt import messages  # noqa: PLC0415

    device = Device()
    try:
        with device:
            plan, timing = build(order, engines.timing_cache(hardware))
    finally:
        device.close()
    for text in messages.take():
        say(f"TensorRT: {text}")
    try:
        engines.keep_timing_cache(hardware, timing)
    except OSError as error:
        say(f"the next build will take as long: {error}")
    return plan


def _parity(bundle: Bundle, plan: bytes, precision: Precision, assembly: Assembly) -> Parity | str:
    """The new engine beside ONNX Runtime; a sentence where what it gives cannot be compared at all."""
    from edged.embed.onnx import OnnxEmbedder  # noqa: PLC0415
    from edged.embed.tensorrt import TensorRtEmbedder  # noqa: PLC0415

    trusted = OnnxEmbedder(bundle)
    clips = reference_clips(bundle)
    expected = [trusted.embed(segments) for segments in clips]
    segments = [segment for clip in clips for segment in clip]
    with closing(TensorRtEmbedder(bundle, plan, precision)) as engine, BankStore(assembly.config.state_path) as store:
        judges = [probe_judge(bundle, trusted, expected), *enrolled_judges(assembly, store, bundle)]
        try:
            actual = _in_batches(engine, segments)
        except BundleError as error:
            return str(error)
        return compare(bundle, _flat(expected), actual, precision, judges)


def _in_batches(engine: Embedder, segments: Sequence[Segment]) -> list[Embedding]:
    """As the daemon would: batches of every size, so that every graph and the plain path are tried."""
    found: list[Embedding] = []
    size = 1
    while len(found) < len(segments):
        found += engine.embed(segments[len(found) : len(found) + size])
        size = size % 48 + 1
    return found


def _flat(clips: Sequence[Sequence[Embedding]]) -> list[Embedding]:
    return [embedding for clip in clips for embedding in clip]
