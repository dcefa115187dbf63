"""A TensorRT that is none: every name, parameter and absence of a real version, and ONNX Runtime inside.

Names and parameters come from the tables that `check_tensorrt_api.py` recorded from the real modules. An engine
computes what its ONNX file says, on the memory of `tests.fakes.cuda.Gpu`.
"""

# ruff: noqa: A002, ARG002, ARG005, C901 - names of parameters are TensorRT's; the classes share their module

import functools
import inspect
import json
import types
import weakref
from pathlib import Path

import numpy as np
import onnxruntime as ort

TABLES = json.loads((Path(__file__).parents[1] / "edged" / "embed" / "tensorrt_signatures.json").read_text())
VERSIONS = tuple(sorted(TABLES, key=lambda version: [int(part) for part in version.split(".")]))
_MAGIC = b"not a TensorRT engine\n"


class Enumeration:
    """A member: compares by identity, converts to an integer."""

    def __init__(self, name, number):
        self.name, self.number = name, number

    def __int__(self):
        return self.number

    def __repr__(self):
        return self.name


def enumeration(*names):
    return type("Enum", (), {name: Enumeration(name, number) for number, name in enumerate(names)})


class Faults:
    """What goes wrong: set before use.

    Attributes:
        builder_gives_nothing: as without a driver.
        parse_errors: of the parser.
        build_fails: the builder gives no engine and says why.
        read_fails: the runtime gives none.
        factor: outputs are multiplied by this, without any error; `spoils` says which runs.
        no_context: there is no memory for one.
        refuses_shape: no batch is accepted.
        run_fails: execution fails.
    """

    def __init__(self):
        self.builder_gives_nothing = self.build_fails = self.read_fails = self.no_context = False
        self.refuses_shape = self.run_fails = False
        self.parse_errors, self.factor, self.noise = [], 1.0, 0.0


def module(version, gpu, calls=None):
    """The module ``tensorrt`` of a version; `faults` and `calls` are added to it."""
    made = types.ModuleType("tensorrt")
    made.__version__, made.faults, made.calls = version, Faults(), [] if calls is None else calls
    made.float32 = Enumeration("float32", 0)
    made.NetworkDefinitionCreationFlag = enumeration("EXPLICIT_BATCH", "STRONGLY_TYPED")
    made.BuilderFlag = enumeration("FP16", "INT8", "TF32", "PREFER_PRECISION_CONSTRAINTS")
    made.MemoryPoolType, made.LayerType = enumeration("WORKSPACE"), enumeration("REDUCE", "UNARY", "CONVOLUTION")
    made.TensorIOMode = enumeration("INPUT", "OUTPUT")
    for kind in (*builder_classes(made, gpu), *runtime_classes(made, gpu)):
        setattr(made, kind.__name__, kind)
    made.ILogger.Severity = enumeration("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
    restrict(made, TABLES[version])
    return made


def restrict(made, table):
    """Take away what the version lacks, and hold every call to its parameters."""
    everything = {name for known in TABLES.values() for name in known}
    for name in everything:
        parts = name.split(".")
        if len(parts) != 2:
            continue
        owner = getattr(made, parts[0], None)
        if name not in table:
            if owner is not None and parts[1] in vars(owner):
                delattr(owner, parts[1])
            if parts[1] == "__init__" and owner is not None:
                delattr(made, parts[0])
        elif isinstance(table[name], list):
            method = vars(owner).get(parts[1])
            assert method is not None, f"the fake lacks {name}"
            setattr(owner, parts[1], checked(method, name, table[name], made.calls))


def checked(method, name, overloads, calls):
    signatures = [
        inspect.Signature(
            [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
            + [
                inspect.Parameter(
                    p.rstrip("="),
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=None if p.endswith("=") else inspect.Parameter.empty,
                )
                for p in parameters
            ]
        )
        for parameters in overloads
    ]

    @functools.wraps(method)
    def call(*args, **kwargs):
        calls.append((name, *args[1:]))
        for signature in signatures:
            try:
                signature.bind(*args, **kwargs)
            except TypeError:
                continue
            return method(*args, **kwargs)
        raise TypeError(f"{name}(): incompatible function arguments: {args[1:]} {kwargs}")

    return call


class Strict:
    """Only known attributes may be set, as with pybind11's classes."""

    known: tuple = ()

    def __setattr__(self, name, value):
        if not name.startswith("_") and name not in type(self).__dict__:
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")
        object.__setattr__(self, name, value)


def say(trt, logger, text):
    assert logger._initialised, "ILogger.__init__ was not called"
    logger.log(trt.ILogger.Severity.ERROR, text)


def builder_classes(trt, gpu):
    faults = trt.faults

    class ILogger:
        def __init__(self):
            self._initialised = True

        def log(self, severity, msg):
            raise NotImplementedError

    class ILayer(Strict):
        precision = None
        _output_type = None

        def __init__(self, kind):
            self._kind = kind

        @property
        def type(self):
            return self._kind

        def set_output_type(self, index, dtype):
            assert index == 0
            self._output_type = dtype

    class INetworkDefinition(Strict):
        def __init__(self, flags):
            self._flags, self._onnx = flags, b""
            self._layers = [ILayer(kind) for kind in (trt.LayerType.REDUCE, trt.LayerType.CONVOLUTION)]

        num_layers = property(lambda self: len(self._layers))

        def get_layer(self, index):
            return self._layers[index]

    class ParserError:
        def __init__(self, text):
            self._text = text

        def desc(self):
            return self._text

    class OnnxParser(Strict):
        def __init__(self, network, logger):
            self._network = network

        num_errors = property(lambda self: len(faults.parse_errors))

        def parse(self, model, path=None):
            self._network._onnx = bytes(model)
            return not faults.parse_errors

        def get_error(self, index):
            return ParserError(faults.parse_errors[index])

    class IOptimizationProfile:
        def __init__(self):
            self._shapes = {}

        def set_shape(self, input, min, opt, max):
            assert len({tuple(shape)[1:] for shape in (min, opt, max)}) == 1
            assert min[0] <= opt[0] <= max[0]
            self._shapes[input] = [list(min), list(opt), list(max)]

    class ITimingCache:
        def __init__(self, data):
            self._data = data

        def serialize(self):
            return bytearray(self._data + b"measured;")

    class IBuilderConfig(Strict):
        builder_optimization_level = 3
        int8_calibrator = None

        def __init__(self):
            self._flags, self._profiles, self._cache, self._pools = {trt.BuilderFlag.TF32}, [], None, {}

        def set_flag(self, flag):
            self._flags.add(flag)

        def clear_flag(self, flag):
            self._flags.discard(flag)

        def add_optimization_profile(self, profile):
            self._profiles.append(profile)
            return 0

        def set_memory_pool_limit(self, pool, pool_size):
            self._pools[pool] = pool_size

        def create_timing_cache(self, serialized_timing_cache):
            return ITimingCache(bytes(serialized_timing_cache))

        def set_timing_cache(self, cache, ignore_mismatch):
            assert not ignore_mismatch
            if cache._data.startswith(b"other device"):
                return False
            self._cache = cache
            return True

        def get_timing_cache(self):
            return self._cache

    class Builder:
        def __init__(self, logger):
            gpu.need_context()
            if faults.builder_gives_nothing:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._logger = logger

        def create_network(self, flags=0):
            allowed = [
                flag
                for flag in ("EXPLICIT_BATCH", "STRONGLY_TYPED")
                if hasattr(trt.NetworkDefinitionCreationFlag, flag)
            ]
            assert not flags & ~sum(1 << int(getattr(trt.NetworkDefinitionCreationFlag, flag)) for flag in allowed)
            return INetworkDefinition(flags)

        def create_builder_config(self):
            return IBuilderConfig()

        def create_optimization_profile(self):
            return IOptimizationProfile()

        def build_serialized_network(self, network, config):
            strong = network._flags & 1 << 1
            typed = config._flags - {trt.BuilderFlag.TF32}
            assert not (strong and typed), "strongly typed networks take no precision flags"
            trt.built = {"strong": bool(strong), "flags": sorted(map(repr, config._flags)), "network": network,
                         "config": config}  # fmt: skip
            if faults.build_fails:
                say(trt, self._logger, "could not find any implementation for node conv_1")
                return None
            calibrator = getattr(config, "int8_calibrator", None)
            if calibrator is not None:
                trt.built["calibrated"] = _calibrate(calibrator, network, gpu)
            head = json.dumps(config._profiles[0]._shapes).encode()
            return bytearray(_MAGIC + head + b"\n" + network._onnx)

    class IInt8EntropyCalibrator2:
        def __init__(self):
            self._initialised = True

        def get_batch(self, names):
            raise NotImplementedError

    return [
        ILogger, ILayer, INetworkDefinition, OnnxParser, ParserError, IOptimizationProfile, ITimingCache,
        IBuilderConfig, Builder, IInt8EntropyCalibrator2,
    ]  # fmt: skip


def runtime_classes(trt, gpu):
    faults = trt.faults

    class Runtime:
        def __init__(self, logger):
            gpu.need_context()
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine):
            if faults.read_fails or not bytes(serialized_engine).startswith(_MAGIC):
                say(trt, self._logger, "the engine plan file is not compatible with this version of TensorRT")
                return None
            return ICudaEngine(bytes(serialized_engine))

    class ICudaEngine:
        def __init__(self, plan):
            head, self._onnx = plan[len(_MAGIC) :].split(b"\n", 1)
            self._profile = json.loads(head)
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = ort.InferenceSession(self._onnx, options, providers=["CPUExecutionProvider"])
            self._inputs = {node.name: node.shape for node in self._session.get_inputs()}
            self._outputs = {node.name: node.shape for node in self._session.get_outputs()}

        num_io_tensors = property(lambda self: len(self._inputs) + len(self._outputs))

        def get_tensor_name(self, index):
            return [*self._inputs, *self._outputs][index]

        def get_tensor_mode(self, name):
            return trt.TensorIOMode.INPUT if name in self._inputs else trt.TensorIOMode.OUTPUT

        def get_tensor_shape(self, name):
            return (-1, *({**self._inputs, **self._outputs}[name][1:]))

        def get_tensor_dtype(self, name):
            return trt.float32

        def get_tensor_profile_shape(self, name, profile_index):
            return [tuple(shape) for shape in self._profile[name]]

        def create_execution_context(self):
            gpu.need_context()
            return None if faults.no_context else IExecutionContext(self)

    class IExecutionContext:
        def __init__(self, engine):
            self._engine, self._shapes, self._addresses, self._is_fresh = engine, {}, {}, True

        def set_input_shape(self, name, shape):
            self._shapes[name] = tuple(shape)
            return not faults.refuses_shape and shape[0] <= self._engine._profile[name][2][0]

        def set_tensor_address(self, name, memory):
            assert memory in gpu.memory
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle):
            if faults.run_fails:
                return False
            stream = gpu.streams[stream_handle]
            assert not (self._is_fresh and stream.capturing is not None), "the first run must not be captured"
            self._is_fresh = False
            gpu.enqueue(stream_handle, _bound(weakref.ref(self), dict(self._shapes), dict(self._addresses)))
            return True

        def _run(self, shapes, addresses):
            feeds = {name: gpu.read(addresses[name], shape).copy() for name, shape in shapes.items()}
            values = self._engine._session.run(list(self._engine._outputs), feeds)
            for name, value in zip(self._engine._outputs, values, strict=True):
                noise = faults.noise * np.random.default_rng(0).standard_normal(value.shape)
                gpu.write(addresses[name], value * faults.factor + noise)

    return [Runtime, ICudaEngine, IExecutionContext]


def _bound(context, shapes, addresses):
    """A run, which needs its context still to be there."""

    def run():
        assert context() is not None, "the execution context was released before its work was done"
        context()._run(shapes, addresses)

    return run


def _calibrate(calibrator, network, gpu):
    """Ask for batches until there are no more; their addresses must be readable."""
    assert calibrator._initialised
    assert calibrator.get_batch_size() >= 1
    assert calibrator.read_calibration_cache() is None
    session = ort.InferenceSession(network._onnx, providers=["CPUExecutionProvider"])
    names, n = [node.name for node in session.get_inputs()], 0
    while addresses := calibrator.get_batch(names):
        assert all(np.isfinite(gpu.read(address, (8,))).all() for address in addresses)
        n += 1
    calibrator.write_calibration_cache(b"ranges")
    return n
