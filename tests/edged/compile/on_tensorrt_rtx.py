"""edged's own build code on TensorRT for RTX, whose builder works without a GPU; prints what came of it.

    python tests/edged/compile/on_tensorrt_rtx.py FOLDER      (FOLDER/*.onnx: networks to build besides the bundles')

TensorRT for RTX has TensorRT's Python API, ONNX parser and strong typing; builder, networks, optimisation profiles and
engines here are real. It knows no Jetson: engines are built for an Ampere card, compute capability 8.6 (an Orin has
8.7), and what runs them needs a GPU. Run by test_real_builder.py.
"""

import collections
import json
import sys
import types
from pathlib import Path

import tensorrt_rtx

from tests.fakes.cuda import Gpu

TARGET = tensorrt_rtx.ComputeCapability.SM86
PROFILE = (1, 8, 64)
WORKSPACE_MIB = 256
LEVEL = 2
seen = {}
"""Of the latest build."""


class Builder(tensorrt_rtx.Builder):
    """The real builder, for a card that is not here; notes what it is given to build."""

    def create_builder_config(self):
        config = super().create_builder_config()
        config.num_compute_capabilities = 1
        assert config.set_compute_capability(TARGET, 0)
        return config

    def build_serialized_network(self, network, config):
        tensors = [network.get_input(n) for n in range(network.num_inputs)]
        tensors += [network.get_output(n) for n in range(network.num_outputs)]
        layers = [network.get_layer(n) for n in range(network.num_layers)]
        seen.update(
            tensors={t.name: [str(t.dtype), list(t.shape)] for t in tensors},
            types=collections.Counter(str(layer.get_output_type(0)) for layer in layers),
            strong=network.get_flag(tensorrt_rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
            tf32=config.get_flag(tensorrt_rtx.BuilderFlag.TF32),
            workspace_mib=config.get_memory_pool_limit(tensorrt_rtx.MemoryPoolType.WORKSPACE) >> 20,
            level=config.builder_optimization_level,
            profiles=config.num_optimization_profiles,
        )
        return super().build_serialized_network(network, config)


def as_tensorrt():
    """The module under the name that edged imports."""
    module = types.ModuleType("tensorrt")
    vars(module).update({name: value for name, value in vars(tensorrt_rtx).items() if name != "__name__"})
    module.Builder = Builder
    return module


def main():
    sys.modules.update({"tensorrt": as_tensorrt(), **Gpu().pycuda()})
    from edged.assembly import open_bundle
    from edged.compile.builder import Order, build, typing_of
    from edged.embed.tensorrt import TensorRtEmbedder
    from edged.errors import EdgedError

    def order(bundle, onnx, precision):
        typing = typing_of(precision, has_types=True)
        return Order(onnx, True, bundle.manifest.model, precision, typing, PROFILE, WORKSPACE_MIB, LEVEL)

    def outcome(bundle, onnx, precision, timing=b""):
        seen.clear()
        try:
            plan, cache = build(order(bundle, onnx, precision), timing)
        except EdgedError as error:
            return {"refused": error.message}
        return {"bytes": len(plan), "cache": len(cache), **seen}

    def refusal(work):
        try:
            work()
        except EdgedError as error:
            return error.message
        return "none"

    bundles = {kind: open_bundle(kind) for kind in ("anomaly", "keyword")}
    found = {"version": tensorrt_rtx.__version__}
    for kind, bundle in bundles.items():
        for precision in ("fp32", "fp16"):
            path = bundle.typed_model_path(precision) or bundle.model_path
            found[f"{kind} {precision}"] = outcome(bundle, path.read_bytes(), precision)
    for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
        kind, precision, *_ = path.stem.split("-")
        found[path.stem] = outcome(bundles[kind], path.read_bytes(), precision)
    whole = bundles["keyword"].model_path.read_bytes()
    found["other network"] = outcome(bundles["anomaly"], whole, "fp32")
    found["cut off"] = outcome(bundles["keyword"], whole[: len(whole) // 2], "fp32")
    found["foreign timing cache"] = outcome(bundles["keyword"], whole, "fp32", b"measured elsewhere")
    plan, timing = build(order(bundles["keyword"], whole, "fp32"))
    found["own timing cache"] = outcome(bundles["keyword"], whole, "fp32", timing)
    found["run"] = refusal(lambda: TensorRtEmbedder(bundles["keyword"], plan))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
