"""What edged uses of TensorRT, compared with the real Python module.

    python tests/edged/embed/check_tensorrt_api.py            compare the installed TensorRT with what is recorded
    python tests/edged/embed/check_tensorrt_api.py --record   record the installed one into tensorrt_signatures.json

The recorded tables are of the modules in NVIDIA's own wheels (tensorrt-bindings 8.6.1; tensorrt-cu12-bindings 10.3.0,
10.16.1.11 and 11.4.0.106, all for CPython 3.11 on x86-64), read from their docstrings. The modules were loaded beside
stand-ins for the libraries they link to (every function of which gives nothing), as no GPU is needed to ask a module
what it has; JetPack's modules are built from the same source.
"""

import argparse
import importlib
import json
import re
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("tensorrt_signatures.json")

ALWAYS = """
Builder.__init__ Builder.create_network Builder.create_builder_config Builder.create_optimization_profile
Builder.build_serialized_network
IBuilderConfig.set_flag IBuilderConfig.clear_flag IBuilderConfig.add_optimization_profile
IBuilderConfig.set_memory_pool_limit IBuilderConfig.builder_optimization_level IBuilderConfig.create_timing_cache
IBuilderConfig.set_timing_cache IBuilderConfig.get_timing_cache ITimingCache.serialize IOptimizationProfile.set_shape
OnnxParser.__init__ OnnxParser.parse OnnxParser.num_errors OnnxParser.get_error ParserError.desc
INetworkDefinition.num_layers INetworkDefinition.get_layer ILayer.type LayerType.REDUCE LayerType.UNARY
ILogger.__init__ ILogger.log ILogger.Severity.INTERNAL_ERROR ILogger.Severity.ERROR ILogger.Severity.WARNING
Runtime.__init__ Runtime.deserialize_cuda_engine
ICudaEngine.create_execution_context ICudaEngine.num_io_tensors ICudaEngine.get_tensor_name
ICudaEngine.get_tensor_mode ICudaEngine.get_tensor_shape ICudaEngine.get_tensor_dtype
ICudaEngine.get_tensor_profile_shape
IExecutionContext.set_input_shape IExecutionContext.set_tensor_address IExecutionContext.execute_async_v3
TensorIOMode.INPUT TensorIOMode.OUTPUT MemoryPoolType.WORKSPACE BuilderFlag.TF32 float32 __version__
""".split()  # noqa: SIM905 - fifty strings in quotes would be harder to read
"""Used with every version."""

SOMEWHERE = {
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": "asked for",
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": "asked for",
    "BuilderFlag.FP16": "asked for",
    "BuilderFlag.INT8": "asked for",
    "IInt8EntropyCalibrator2.__init__": "asked for",
    "IInt8EntropyCalibrator2.get_batch": "with the class",
    "IBuilderConfig.int8_calibrator": "with BuilderFlag.INT8",
    "BuilderFlag.PREFER_PRECISION_CONSTRAINTS": "with BuilderFlag.FP16",
    "ILayer.precision": "with BuilderFlag.FP16",
    "ILayer.set_output_type": "with BuilderFlag.FP16",
}
"""Used only where the module has it: asked for by hasattr, or only reached where something else was found."""

GUARDS = {"with BuilderFlag.INT8": "BuilderFlag.INT8", "with BuilderFlag.FP16": "BuilderFlag.FP16",
          "with the class": "IInt8EntropyCalibrator2.__init__"}  # fmt: skip


def signatures(module):
    """Name -> "property", "value", or the parameter names of every overload; without what the module lacks."""
    found = {}
    for name in (*ALWAYS, *SOMEWHERE):
        try:
            described = describe(module, name)
        except AttributeError:
            continue
        found[name] = described
    return found


def describe(module, name):
    value = module
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, property):
        return "property"
    if not callable(value):
        return "value"
    overloads = re.findall(rf"{name.rsplit('.', 1)[-1]}\((self: [^)]*?)\) ->", value.__doc__ or "")
    return [parameters(text) for text in overloads] or "callable"


def parameters(text):
    """``self: A, flags: int = 0`` -> ["flags="]; a default is marked."""
    parts = re.split(r", (?=\w+: )", text)[1:]
    return [part.split(":")[0] + ("=" if " = " in part else "") for part in parts]


def problems(table, version):
    """What edged would miss there."""
    lacking = [name for name in ALWAYS if name not in table]
    for name, when in SOMEWHERE.items():
        if when in GUARDS and GUARDS[when] in table and name not in table:
            lacking.append(f"{name} ({when})")
    return [f"TensorRT {version} lacks {name}" for name in lacking]


def installed():
    """The real module, whichever name it goes by."""
    for name in ("tensorrt", "tensorrt_bindings"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    record = parser.parse_args().record
    module = installed()
    if module is None:
        sys.exit("TensorRT is not installed")
    table, version = signatures(module), module.__version__
    if record:
        tables = json.loads(TABLE.read_text()) if TABLE.exists() else {}
        tables[version] = table
        TABLE.write_text(json.dumps(dict(sorted(tables.items())), indent=1) + "\n")
    found = problems(table, version)
    print("\n".join(found) or f"TensorRT {version}: all {len(table)} names are there")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
