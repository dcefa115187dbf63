"""A GPU that is none: pycuda's driver and the CUDA driver's graphs, as strict as the real ones, all calls recorded.

Work queued on a stream is done when it is waited for, so what forgets to wait reads old values; memory belongs to a
context, which must be current; what is copied must be page-locked.
"""

import ctypes
import threading
import types
from itertools import count

import numpy as np


class CudaError(Exception):
    """pycuda.driver.Error."""


class Gpu:
    """One GPU: its memory, streams, graphs, and what was asked of it.

    Attributes:
        calls: (what, ...) in order.
        memory: address -> bytes.
        fails: name of a call -> it fails from then on.
    """

    def __init__(self, name="Orin", capability=(8, 7), driver=12060, n_devices=1):
        self.name, self.capability, self.driver_version, self.n_devices = name, capability, driver, n_devices
        self.calls, self.fails = [], set()
        self.memory, self.streams, self.graphs = {}, {}, {}
        self.open_contexts = 0
        self._stack = threading.local()
        self._addresses = count(0x1000, 0x10000)

    def note(self, *what):
        self.calls.append(what)
        if what[0] in self.fails:
            raise CudaError(f"{what[0]} failed: unspecified launch failure")

    @property
    def stack(self):
        if not hasattr(self._stack, "contexts"):
            self._stack.contexts = []
        return self._stack.contexts

    def need_context(self):
        assert self.stack, "no CUDA context is current on this thread"
        assert self.stack[-1].is_open, "the CUDA context was released"

    def counted(self, what):
        return sum(call[0] == what for call in self.calls)

    def pycuda(self):  # noqa: C901 - the classes share the GPU
        """The modules ``pycuda`` and ``pycuda.driver``."""
        gpu = self

        class Context:
            def __init__(self):
                self.is_open = True
                gpu.open_contexts += 1

            def push(self):
                assert self.is_open
                gpu.stack.append(self)

            @staticmethod
            def pop():
                gpu.stack.pop()

            def detach(self):
                assert self.is_open
                assert self not in gpu.stack
                gpu.note("context.detach")
                self.is_open = False
                gpu.open_contexts -= 1

        class Device:
            def __init__(self, number):
                assert number < gpu.n_devices

            count = staticmethod(lambda: gpu.n_devices)

            def name(self):
                return gpu.name

            def compute_capability(self):
                return gpu.capability

            def retain_primary_context(self):
                gpu.note("retain_primary_context")
                return Context()

        class Stream:
            def __init__(self):
                gpu.need_context()
                self.handle = next(gpu._addresses)
                self.queue, self.capturing = [], None
                gpu.streams[self.handle] = self

            def synchronize(self):
                gpu.need_context()
                assert self.capturing is None, "a capturing stream cannot be waited for"
                gpu.note("synchronize")
                queue, self.queue = self.queue, []
                for work in queue:
                    work()
                return self

        class Memory:
            def __init__(self, n_bytes):
                gpu.need_context()
                gpu.note("mem_alloc", n_bytes)
                self.address = next(gpu._addresses)
                gpu.memory[self.address] = np.full(n_bytes, 0xFF, np.uint8)  # NaN where nothing was copied

            def __int__(self):
                return self.address

            def free(self):
                gpu.need_context()
                gpu.note("free")
                del gpu.memory[self.address]

        driver = types.ModuleType("pycuda.driver")
        driver.Error, driver.Device, driver.Context, driver.Stream = CudaError, Device, Context, Stream
        driver.init = lambda: gpu.note("init")
        driver.get_driver_version = lambda: gpu.driver_version
        driver.mem_alloc = Memory
        driver.pagelocked_empty = gpu._pagelocked
        driver.memcpy_htod_async = gpu._upload
        driver.memcpy_dtoh_async = gpu._download
        package = types.ModuleType("pycuda")
        package.driver = driver
        return {"pycuda": package, "pycuda.driver": driver}

    def _pagelocked(self, shape, dtype):
        self.need_context()
        return np.empty(shape, dtype).view(PageLocked)

    def _upload(self, to, rows, stream):
        _check_host(rows)
        self.note("upload", rows.shape)
        self.enqueue(stream.handle, lambda: self._put(int(to), rows))

    def _download(self, rows, from_, stream):
        _check_host(rows)
        self.note("download", rows.shape)
        self.enqueue(stream.handle, lambda: np.copyto(rows, self.read(int(from_), rows.shape)))

    def _put(self, address, rows):
        data = np.ascontiguousarray(rows).view(np.uint8).ravel()
        self.memory[address][: len(data)] = data

    def read(self, address, shape):
        n_bytes = int(np.prod(shape)) * 4
        return self.memory[address][:n_bytes].view(np.float32).reshape(shape)

    def write(self, address, values):
        self._put(address, np.asarray(values, np.float32))

    def enqueue(self, handle, work):
        """Queue work on a stream, or record it."""
        self.need_context()
        stream = self.streams[handle]
        (stream.queue if stream.capturing is None else stream.capturing).append(work)

    def driver(self):
        """What `ctypes` would give for libcuda.so.1."""
        return types.SimpleNamespace(
            cuStreamBeginCapture_v2=self._begin, cuStreamEndCapture=self._end, cuGraphLaunch=self._launch,
            cuGraphInstantiateWithFlags=self._instantiate, cuGraphDestroy=self._destroy("graph"),
            cuGraphExecDestroy=self._destroy("executable"),
        )  # fmt: skip

    def _begin(self, stream, mode):
        self.calls.append(("begin_capture", mode))
        if "begin_capture" in self.fails:
            return 900
        self.streams[stream.value].capturing = []
        return 0

    def _end(self, stream, reference):
        self.calls.append(("end_capture",))
        stream = self.streams[stream.value]
        work, stream.capturing = stream.capturing, None
        return self._keep(reference, work)

    def _instantiate(self, reference, graph, flags):
        assert flags.value == 0
        self.calls.append(("instantiate",))
        if "instantiate" in self.fails:
            return 701
        return self._keep(reference, self.graphs[graph.value])

    def _keep(self, reference, work):
        number = next(self._addresses)
        self.graphs[number] = work
        reference._obj.value = number
        return 0

    def _launch(self, executable, stream):
        self.calls.append(("launch",))
        if "launch" in self.fails:
            return 719
        for work in self.graphs[executable.value]:
            self.enqueue(stream.value, work)
        return 0

    def _destroy(self, what):
        def destroy(number):
            assert isinstance(number, ctypes.c_void_p)
            self.calls.append((f"destroy_{what}",))
            del self.graphs[number.value]
            return 0

        return destroy


class PageLocked(np.ndarray):
    """Memory of `pagelocked_empty`, and slices of it."""


def _check_host(rows):
    assert isinstance(rows, PageLocked), "not page-locked: the copy would wait"
    assert rows.flags.c_contiguous
