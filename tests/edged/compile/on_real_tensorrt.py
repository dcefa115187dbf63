"""edged's own TensorRT code on the real Python module, as far as that goes without a GPU; prints what came of it.

    python tests/edged/compile/on_real_tensorrt.py      (the GPU is tests.fakes.cuda's, the module is real)

Run by test_builder.py in the interpreter that EDGED_TENSORRT_PYTHON names.
"""

import json
import sys

import numpy as np

from tests.edged.embed.check_tensorrt_api import installed
from tests.fakes.cuda import Gpu


def outcome(work):
    try:
        return str(work())
    except Exception as error:  # noqa: BLE001 - whatever it is, is printed
        return f"{type(error).__name__}: {error}"


def main():
    gpu = Gpu()
    trt = installed()
    sys.modules.update({"tensorrt": trt, **gpu.pycuda()})
    from edged.assembly import open_bundle
    from edged.compile.builder import Order, build, typing_of
    from edged.compile.calibrator import CAN_CALIBRATE, entropy_calibrator
    from edged.embed.cuda import Device
    from edged.embed.tensorrt import TensorRtEmbedder, messages

    bundle = open_bundle("keyword")
    wish = Order(bundle.model_path.read_bytes(), True, bundle.manifest.model, "fp32", "weak", (1, 4, 32), 64, 3)
    messages.log(trt.ILogger.Severity.ERROR, "said by a test")
    found = {
        "version": trt.__version__,
        "messages": messages.take(),
        "typing": {
            f"{precision} {'typed' if typed else 'plain'}": outcome(lambda: typing_of(precision, has_types=typed))  # noqa: B023
            for precision in ("fp32", "fp16", "int8")
            for typed in (True, False)
        },
    }
    with Device():
        found["build"] = outcome(lambda: build(wish))
        found["calibrator"] = CAN_CALIBRATE and outcome(
            lambda: entropy_calibrator({"frames": np.zeros((9, 3), np.float32)}, 4).get_batch_size()
        )
    found["embedder"] = outcome(lambda: TensorRtEmbedder(bundle, b"no engine"))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
