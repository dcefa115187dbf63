"""TensorRT's own INT8 calibration, for networks without quantise/dequantise pairs; gone in TensorRT 11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorrt as trt

from edged.embed.cuda import Buffer, new_stream
from edged.flow import Float32Array

CAN_CALIBRATE = hasattr(trt, "IInt8EntropyCalibrator2")


def entropy_calibrator(inputs: Mapping[str, Float32Array], batch: int) -> Any:
    """A calibrator that shows these inputs, a batch at a time; made and used within the device's context.

    Args:
        inputs: name -> float32 (n, ...).
        batch: segments at once: the profile's best. What is left over at the end is not shown.
    """

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        """Nothing is kept between builds: the engine is."""

        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self._stream = new_stream()
            self._buffers = {name: Buffer((batch, *values.shape[1:])) for name, values in inputs.items()}
            self._at = 0

        def get_batch_size(self) -> int:
            return batch

        def get_batch(self, names: Sequence[str]) -> list[int] | None:
            rows = slice(self._at, self._at + batch)
            if any(len(values[rows]) < batch for values in inputs.values()):
                return None
            for name, values in inputs.items():
                np.copyto(self._buffers[name].host, values[rows])
                self._buffers[name].upload(batch, self._stream)
            self._stream.synchronize()
            self._at += batch
            return [self._buffers[name].address for name in names]

        def read_calibration_cache(self) -> None:
            return None

        def write_calibration_cache(self, cache: Any) -> None:
            del cache

    return Calibrator()
