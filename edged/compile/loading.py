"""From an installed engine to an embedder, if it is this computer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.compile.engines import EngineRecord, EngineStore
from edged.compile.hardware import this_hardware
from edged.embed.bundle import Bundle
from edged.errors import AcceleratorError

if TYPE_CHECKING:
    from edged.embed.tensorrt import TensorRtEmbedder


def load_engine(engines: EngineStore, bundle: Bundle, record: EngineRecord) -> TensorRtEmbedder:
    """The embedder of an engine; whether it computes what it should is for the caller to see.

    Raises:
        AcceleratorError: it is for other hardware, cannot be read, or there is no GPU.
    """
    difference = record.hardware.difference(this_hardware())
    if difference:
        raise AcceleratorError(f"the engine is for other hardware: {difference}", fix="run `edged compile`")
    from edged.embed.tensorrt import TensorRtEmbedder  # noqa: PLC0415 - imports tensorrt

    return TensorRtEmbedder(bundle, engines.plan(bundle, record), record.precision)
