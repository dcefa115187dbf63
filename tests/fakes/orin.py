"""A Jetson's TensorRT and CUDA for a whole process: what `install` puts on a machine's path imports this.

Modules are those of `tests.fakes`. The builder waits while HOLD exists, as a real one works for minutes.
"""

import sys
import time
from pathlib import Path

from edged.embed import cuda_graph
from tests.fakes import tensorrt as fake_tensorrt
from tests.fakes.cuda import Gpu

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = "10.3.0"  # of JetPack 6
L4T = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
HOLD = Path("/var/lib/edged/hold-the-build")
NEEDED = ("fakes/orin.py", "fakes/tensorrt.py", "fakes/cuda.py", "edged/embed/tensorrt_signatures.json")
SHIM = '"""Not the real one."""\n\nfrom tests.fakes import orin\n\norin.take_place()\n'


def install(tree):
    """Make a Debian tree look like a Jetson's, to the conditions of the units, to install.sh and to Python."""
    packages = tree / "usr/lib/python3/dist-packages"
    for name in NEEDED:
        target = packages / "tests" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / "tests" / name).read_bytes())
    for name in ("tensorrt", "pycuda"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(SHIM, encoding="utf-8")
    (tree / "etc/nv_tegra_release").write_text(L4T, encoding="utf-8")
    (tree / "etc/tmpfiles.d/gpu.conf").write_text("f /dev/nvidia0 0666\n", encoding="utf-8")


def take_place():
    """Be the modules that are being imported."""
    gpu = Gpu()
    made = fake_tensorrt.module(VERSION, gpu)
    build = made.Builder.build_serialized_network

    def build_slowly(self, network, config):
        while HOLD.exists():
            time.sleep(0.1)
        return build(self, network, config)

    made.Builder.build_serialized_network = build_slowly
    cuda_graph._installed = gpu.driver
    sys.modules.update({"tensorrt": made, **gpu.pycuda()})
