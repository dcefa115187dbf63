"""Installs the fake GPU and TensorRT where edged imports the real ones."""

import importlib
import sys
from contextlib import contextmanager

from tests.fakes import tensorrt as fake_tensorrt
from tests.fakes.cuda import Gpu

ADAPTERS = ("edged.embed.cuda", "edged.embed.tensorrt", "edged.compile.builder", "edged.compile.calibrator")


@contextmanager
def accelerator(version, gpu=None):
    """(gpu, the module ``tensorrt``), with edged's adapters loaded anew on top of them."""
    gpu = gpu or Gpu()
    module = fake_tensorrt.module(version, gpu)
    from edged.embed import cuda_graph

    names = ("tensorrt", "pycuda", "pycuda.driver", *ADAPTERS)
    before = {name: sys.modules.pop(name, None) for name in names}
    library, cuda_graph._installed = cuda_graph._installed, gpu.driver
    sys.modules.update({"tensorrt": module, **gpu.pycuda()})
    try:
        for name in ADAPTERS:
            importlib.import_module(name)
        yield gpu, module
    finally:
        cuda_graph._installed = library
        for name in names:
            sys.modules.pop(name, None)
            if before[name] is not None:
                sys.modules[name] = before[name]
