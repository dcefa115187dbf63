"""CUDA graphs: what a stream was once told, told again with one call. pycuda has none, so the driver is asked itself.

A graph keeps addresses and shapes: it is captured for one batch size, with buffers that stay where they are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from edged.errors import AcceleratorError

_LIBRARY = "libcuda.so.1"
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no concern of the capture


class Driver:
    """The few functions of the CUDA driver that graphs need.

    Args:
        library: replaced in tests.

    Raises:
        AcceleratorError: the driver has no graphs (CUDA 11.4 or newer is needed), or there is none.
    """

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        try:
            cuda = library or _installed()
            self._begin, self._end = cuda.cuStreamBeginCapture_v2, cuda.cuStreamEndCapture
            self._instantiate, self._launch = cuda.cuGraphInstantiateWithFlags, cuda.cuGraphLaunch
            self._destroy, self._destroy_executable = cuda.cuGraphDestroy, cuda.cuGraphExecDestroy
        except (OSError, AttributeError) as error:
            raise AcceleratorError(f"no CUDA graphs: {error}") from error

    def capture(self, stream_handle: int, work: Callable[[], None]) -> Graph:
        """Record what `work` queues on a stream; nothing of it runs.

        Raises:
            AcceleratorError: something in it cannot be captured; the stream is as before.
        """
        stream, graph, executable = ctypes.c_void_p(stream_handle), ctypes.c_void_p(), ctypes.c_void_p()
        _check("cuStreamBeginCapture", self._begin(stream, _THREAD_LOCAL))
        try:
            try:
                work()
            finally:
                ended = self._end(stream, ctypes.byref(graph))
            _check("cuStreamEndCapture", ended)
            _check("cuGraphInstantiate", self._instantiate(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)))
        finally:
            if graph:
                self._destroy(graph)
        return Graph(self, executable)

    def launch(self, executable: ctypes.c_void_p, stream_handle: int) -> None:
        """Queue a graph."""
        _check("cuGraphLaunch", self._launch(executable, ctypes.c_void_p(stream_handle)))

    def destroy(self, executable: ctypes.c_void_p) -> None:
        """Release a graph; nothing can be done about a failure."""
        self._destroy_executable(executable)


class Graph:
    """Recorded work."""

    def __init__(self, driver: Driver, executable: ctypes.c_void_p) -> None:
        self._driver, self._executable = driver, executable

    def launch(self, stream_handle: int) -> None:
        """Queue all of it."""
        self._driver.launch(self._executable, stream_handle)

    def close(self) -> None:
        """Release it."""
        self._driver.destroy(self._executable)


def _installed() -> ctypes.CDLL:
    return ctypes.CDLL(_LIBRARY)


def _check(what: str, result: int) -> None:
    if result:
        raise AcceleratorError(f"{what} failed: CUDA error {result}")
