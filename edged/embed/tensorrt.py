"""The TensorRT embedder: runs an engine that `edged compile` made on this device. TensorRT 8.6 to 11, one path.

    segments -> page-locked rows -> GPU -> engine -> GPU -> page-locked rows -> embeddings

Batches of a few sizes replay a CUDA graph, padded to the next size; larger ones run as they are. TensorRT names every
tensor, so nothing depends on an order. Only here and in `edged.compile.builder` tensorrt is imported.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorrt as trt

from edged.embed.bundle import Bundle, TensorSpec
from edged.embed.cuda import Buffer, CudaError, Device, new_stream
from edged.embed.cuda_graph import Driver, Graph
from edged.errors import AcceleratorError, BundleError
from edged.flow import Embedding, Float32Array, Segment

_log = logging.getLogger(__name__)

GRAPH_SIZES = (1, 2, 4, 8)
"""Batches that replay a graph. Each keeps an execution context, so there are few."""
_KEPT_MESSAGES = 50
_REBUILD = "build the engine again: `edged compile --force`"


class Messages(trt.ILogger):  # type: ignore[misc]
    """TensorRT's log: passed on, and the latest of it kept to explain a failure. One serves the whole process."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self._latest: deque[tuple[bool, str]] = deque(maxlen=_KEPT_MESSAGES)

    def log(self, severity: Any, msg: str) -> None:
        """Called by TensorRT, from any of its threads."""
        is_error = severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}
        is_warning = severity == trt.ILogger.Severity.WARNING
        if is_error or is_warning:
            self._latest.append((is_error, msg))
        _log.log(logging.WARNING if is_error else logging.INFO if is_warning else logging.DEBUG, "TensorRT: %s", msg)

    def take(self) -> list[str]:
        """What was said since the last time: the errors, or without any the warnings."""
        said, self._latest = list(self._latest), deque(maxlen=_KEPT_MESSAGES)
        errors = [text for is_error, text in said if is_error]
        return errors or [text for _, text in said]


messages = Messages()


def version() -> str:
    """TensorRT's version, such as ``10.3.0``."""
    return str(trt.__version__)


class TensorRtEmbedder:
    """Runs a bundle's network by its engine.

    May be handed from thread to thread, but is used by one at a time. `close` before the process ends.

    Args:
        bundle: verified bundle with a network.
        plan: the engine, as `edged compile` stored it.
        precision: for `provider`.
        with_graphs: replay CUDA graphs where the driver can.

    Raises:
        AcceleratorError: there is no GPU, or the engine is not for this TensorRT, GPU or bundle.
    """

    def __init__(self, bundle: Bundle, plan: bytes, precision: str = "", *, with_graphs: bool = True) -> None:
        model = bundle.manifest.model
        if model is None:
            raise AcceleratorError(f"{bundle.directory}: has no network to run")
        self.provider = f"TensorRT {version()} {precision}".strip()
        self._representations = bundle.manifest.representations
        self._inputs, self._outputs = model.inputs, model.outputs
        self.graphs_off = "" if with_graphs else "not wanted"
        self._graphs: dict[int, tuple[Any, Graph]] = {}
        self._buffers: dict[str, Buffer] = {}
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._stream: Any = None
        self._is_closed = False
        self._device = Device()
        try:
            with _explained(), self._device:
                self._open(plan)
        except BaseException:
            self.close()
            raise

    def _open(self, plan: bytes) -> None:
        try:
            self._runtime = trt.Runtime(messages)
        except TypeError as error:  # its constructor gives nothing where the driver is missing
            raise AcceleratorError(f"TensorRT does not start: {_said()}", fix="is there a GPU?") from error
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise AcceleratorError(f"the engine cannot be read: {_said()}", fix=_REBUILD)
        self.max_batch = _max_batch(self._engine, self._inputs, self._outputs)
        self._stream = new_stream()
        specs = (*self._inputs, *self._outputs)
        for spec in specs:
            self._buffers[spec.name] = Buffer((self.max_batch, *spec.shape))
        self._context = self._new_context()
        self._driver = self._graph_driver()

    def embed(self, segments: Sequence[Segment]) -> list[Embedding]:
        """One embedding per segment, in order.

        Raises:
            AcceleratorError: the GPU failed; this embedder is of no use any more.
            BundleError: the network gave something that is not finite.
        """
        if self._is_closed:
            raise AcceleratorError("the engine was released")
        found: list[Embedding] = []
        with _explained(), self._device:
            for at in range(0, len(segments), self.max_batch):
                found += self._embed_batch(segments[at : at + self.max_batch])
        return found

    def close(self) -> None:
        """Release graphs, contexts, engine, buffers, stream, and the CUDA context, in this order.

        A GPU that failed may refuse this too; that is told, and is no reason to stop what goes on without it.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for release in (self._release, self._device.close):
            try:
                release()
            except CudaError as error:
                _log.warning("the GPU does not take back what an engine held: %s", error)

    def _release(self) -> None:
        with self._device:
            self._forget_graphs()
            self._context = None
            self._engine = None
            self._runtime = None
            for buffer in self._buffers.values():
                buffer.free()
            self._buffers.clear()
            self._stream = None

    def _embed_batch(self, segments: Sequence[Segment]) -> list[Embedding]:
        n = len(segments)
        for spec in self._inputs:
            host = self._buffers[spec.name].host
            for row, segment in enumerate(segments):
                host[row] = segment.features[spec.name]
        self._run(n)
        outputs = {spec.name: self._buffers[spec.name].host[:n].copy() for spec in self._outputs}
        _check_finite(outputs)
        return [self._embedding(segment, outputs, row) for row, segment in enumerate(segments)]

    def _embedding(self, segment: Segment, outputs: dict[str, Float32Array], row: int) -> Embedding:
        vectors = {
            spec.name: outputs[spec.name][row] if spec.source == "model" else segment.features[spec.name]
            for spec in self._representations
        }
        return Embedding(segment.sample_start, segment.sample_end, vectors, segment.epoch, segment.input)

    # -- running -------------------------------------------------------------------------------------------------------

    def _run(self, n_rows: int) -> None:
        """The first rows of the inputs' buffers through the engine, into the outputs'."""
        size = next((size for size in GRAPH_SIZES if n_rows <= size <= self.max_batch), None)
        if size is None or self._driver is None or not self._replay(size):
            self._queue(self._context, n_rows)
        self._stream.synchronize()

    def _replay(self, size: int) -> bool:
        """Queue the graph of a batch size; whether there is one."""
        if size not in self._graphs and not self._capture(size):
            return False
        self._graphs[size][1].launch(self._stream.handle)
        return True

    def _capture(self, size: int) -> bool:
        """Record the graph of a batch size, with a context of its own: a graph holds what its context worked out."""
        assert self._driver is not None  # noqa: S101 - callers look
        try:
            context = self._new_context()
            self._queue(context, size)  # what TensorRT puts off until the first run must not be captured
            self._stream.synchronize()
            graph = self._driver.capture(self._stream.handle, lambda: self._queue(context, size))
        except (AcceleratorError, CudaError) as error:
            self._without_graphs(str(error))
            return False
        self._graphs[size] = context, graph
        return True

    def _queue(self, context: Any, n_rows: int) -> None:
        for spec in self._inputs:
            if not context.set_input_shape(spec.name, (n_rows, *spec.shape)):
                raise AcceleratorError(f"the engine refuses {n_rows} segments: {_said()}", fix=_REBUILD)
            self._buffers[spec.name].upload(n_rows, self._stream)
        if not context.execute_async_v3(self._stream.handle):
            raise AcceleratorError(f"the engine failed: {_said()}", fix=_REBUILD)
        for spec in self._outputs:
            self._buffers[spec.name].download(n_rows, self._stream)

    def _new_context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise AcceleratorError(f"no memory for the engine: {_said()}", fix="stop what else uses the GPU")
        for name, buffer in self._buffers.items():
            if not context.set_tensor_address(name, buffer.address):
                raise AcceleratorError(f"the engine refuses its tensor '{name}': {_said()}", fix=_REBUILD)
        return context

    def _graph_driver(self) -> Driver | None:
        if self.graphs_off:
            return None
        try:
            return Driver()
        except AcceleratorError as error:
            self.graphs_off = str(error)
            return None

    def _without_graphs(self, reason: str) -> None:
        _log.warning("TensorRT goes on without CUDA graphs: %s", reason)
        self.graphs_off, self._driver = reason, None
        self._forget_graphs()

    def _forget_graphs(self) -> None:
        for _, graph in self._graphs.values():
            graph.close()
        self._graphs.clear()


def _max_batch(engine: Any, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> int:
    """The largest batch of an engine that has exactly these tensors."""
    modes = {name: engine.get_tensor_mode(name) for name in map(engine.get_tensor_name, range(engine.num_io_tensors))}
    wanted = {spec.name: trt.TensorIOMode.INPUT for spec in inputs}
    wanted |= {spec.name: trt.TensorIOMode.OUTPUT for spec in outputs}
    if modes != wanted:
        raise AcceleratorError(f"the engine is of another network: it has {', '.join(sorted(modes))}", fix=_REBUILD)
    for spec in (*inputs, *outputs):
        shape, kind = tuple(engine.get_tensor_shape(spec.name)), engine.get_tensor_dtype(spec.name)
        if shape[1:] != spec.shape or kind != trt.float32:
            text = f"'{spec.name}' of the engine is {kind} {shape}, not float32 {spec.shape}"
            raise AcceleratorError(text, fix=_REBUILD)
    largest = [next(iter(engine.get_tensor_profile_shape(spec.name, 0)[2])) for spec in inputs]
    return int(min(largest))


def _check_finite(outputs: dict[str, Float32Array]) -> None:
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise BundleError(f"the engine's output '{name}' is not finite", fix="compile it with --precision fp32")


def _said() -> str:
    return "; ".join(messages.take()) or "TensorRT gave no reason"


@contextmanager
def _explained() -> Iterator[None]:
    """What pycuda and TensorRT raise becomes an error an operator can read."""
    try:
        yield
    except (CudaError, RuntimeError, TypeError, MemoryError) as error:
        raise AcceleratorError(f"TensorRT: {error}; {_said()}", fix=_REBUILD) from error
