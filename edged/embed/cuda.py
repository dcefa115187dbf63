"""A CUDA context, its stream and buffers: the only module that imports pycuda.

Whatever belongs to a context is made, used and released between `with device:`; what is left on another thread's stack
or released after its context takes the process down.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
import pycuda.driver as cuda

from edged.errors import AcceleratorError
from edged.flow import Float32Array

FIX = "see `nvidia-smi` (Jetson: `dmesg`); a user of the GPU is in groups video and render"


class Device:
    """The first GPU, by its primary context, which every other library of this process shares.

    Raises:
        AcceleratorError: there is no GPU that this user may use.
    """

    def __init__(self) -> None:
        try:
            cuda.init()
            if cuda.Device.count() == 0:
                raise AcceleratorError("CUDA finds no GPU", fix=FIX)
            self._device = cuda.Device(0)
            self._context = self._device.retain_primary_context()
        except cuda.Error as error:
            raise AcceleratorError(f"CUDA cannot be used: {error}", fix=FIX) from error

    @property
    def name(self) -> str:
        """As the driver calls it."""
        return str(self._device.name())

    @property
    def compute_capability(self) -> str:
        """``8.7`` on Orin."""
        return ".".join(map(str, self._device.compute_capability()))

    @property
    def driver_version(self) -> int:
        """CUDA of the driver: 12060 is 12.6."""
        return int(cuda.get_driver_version())

    def __enter__(self) -> Device:
        """Make it this thread's GPU."""
        self._context.push()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the thread back what it had."""
        cuda.Context.pop()

    def close(self) -> None:
        """Release the context; nothing of it may be used afterwards."""
        self._context.detach()


class Buffer:
    """Memory for one tensor, on the GPU and page-locked beside it, made once and used again and again.

    Args:
        shape: (batch, ...), float32.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.host: Float32Array = cuda.pagelocked_empty(shape, np.float32)
        self.host.fill(0.0)
        self._memory = cuda.mem_alloc(self.host.nbytes)

    @property
    def address(self) -> int:
        """On the GPU."""
        return int(self._memory)

    def upload(self, n_rows: int, stream: Any) -> None:
        """Queue the copy of the first rows to the GPU."""
        cuda.memcpy_htod_async(self._memory, self.host[:n_rows], stream)

    def download(self, n_rows: int, stream: Any) -> None:
        """Queue the copy of the first rows from the GPU."""
        cuda.memcpy_dtoh_async(self.host[:n_rows], self._memory, stream)

    def free(self) -> None:
        """Release the GPU's part; the page-locked one goes with the array."""
        self._memory.free()


def new_stream() -> Any:
    """A stream of the current context: ``handle`` (int) and ``synchronize()``."""
    return cuda.Stream()


CudaError = cuda.Error
"""What pycuda raises."""
