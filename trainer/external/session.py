"""ONNX Runtime on files of unknown origin: bounded in size, memory and time; nothing but standard operators.

The runtime itself keeps weights that lie in files of their own within the model's folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from edged.errors import BundleError

MAX_MODEL_BYTES = 1 << 30
MAX_MEMORY_BYTES = 3 << 30
"""Weights and all that a run computes, on the CPU; the runtime refuses to allocate more."""

MAX_RUN_S = 120.0
"""A run that takes longer is ended: a network can hold a loop without end."""

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class BoundedSession:
    """A loaded model.

    Args:
        path: the ONNX file.
        n_threads: intra-op threads.
        max_run_s: limit of one run.

    Raises:
        BundleError: no file, too large, or not a model the runtime can run.
    """

    def __init__(self, path: Path, n_threads: int = 1, max_run_s: float = MAX_RUN_S) -> None:
        _check_file(path)
        _bound_memory()
        self._path = path
        self._max_run_s = max_run_s
        self._session = _open(path, n_threads)

    @property
    def inputs(self) -> list[Any]:
        """The runtime's descriptions: `name`, `type`, `shape`."""
        return list(self._session.get_inputs())

    @property
    def outputs(self) -> list[Any]:
        """Likewise."""
        return list(self._session.get_outputs())

    @property
    def provider(self) -> str:
        """What it runs on."""
        return str(self._session.get_providers()[0])

    def run(self, output: str, feeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """One output.

        Raises:
            BundleError: the run failed, needed too much memory, or took too long.
        """
        options = ort.RunOptions()
        with _ended_after(self._max_run_s, options):
            try:
                (value,) = self._session.run([output], dict(feeds), options)
            except Exception as error:  # the runtime has no base class for its exceptions
                raise BundleError(*self._reason(error, ended=options.terminate)) from error
        if not hasattr(value, "dtype"):
            raise BundleError(f"{self._path}: the output '{output}' is no array", fix="export an encoder of tensors")
        result: NDArray[Any] = value
        return result

    def _reason(self, error: Exception, *, ended: bool) -> tuple[str]:
        if ended:
            return (f"{self._path}: did not finish within {self._max_run_s:g} s",)
        return (f"{self._path}: cannot run: {_first_line(error)}",)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: no such file", fix="name an ONNX file")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise BundleError(f"{path}: larger than {MAX_MODEL_BYTES >> 20} MiB", fix="use a smaller encoder")


@cache
def _bound_memory() -> None:
    """One arena for all sessions that ask for it."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(MAX_MEMORY_BYTES, -1, -1, -1))


def _open(path: Path, n_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    providers = [provider for provider in PROVIDERS if provider in ort.get_available_providers()]
    try:
        return ort.InferenceSession(str(path), options, providers, disabled_optimizers=["ConstantFolding"])
    except Exception as error:  # the runtime has no base class for its exceptions
        raise BundleError(f"{path}: cannot be loaded: {_first_line(error)}", fix="export the encoder again") from error


@contextmanager
def _ended_after(seconds: float, options: ort.RunOptions) -> Iterator[None]:
    timer = threading.Timer(seconds, lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
