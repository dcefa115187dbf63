"""`edged compile` from end to end, on the fake GPU: built, compared, installed or refused."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import soundfile as sf
from typer.testing import CliRunner

from edged.assembly import Assembly, open_bundle
from edged.cli.main import app
from edged.compile import run as run_module
from edged.compile.engines import EngineStore
from edged.compile.run import Wish, compile_bundle
from edged.config import Config
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.embed.bundle import write_bundle
from edged.errors import AcceleratorError, BundleError
from tests.fakes.accelerator import accelerator
from tests.fakes.cuda import Gpu
from tests.fakes.tensorrt import VERSIONS
from trainer.low_precision import to_fp16

pytestmark = pytest.mark.usefixtures("few_words")
FP32 = Wish("fp32")


@pytest.fixture(params=VERSIONS)
def fake(request):
    with accelerator(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def with_fp16(tmp_path_factory):
    """The keyword bundle, with its network in 16 bits too."""
    source, folder = open_bundle("keyword"), tmp_path_factory.mktemp("fp16")
    onnx.save(to_fp16(onnx.load(str(source.model_path))), str(folder / "fp16.onnx"))
    manifest = source.manifest.model_copy(update={"files": {}})
    return write_bundle(
        folder / "bundle", manifest, model=source.model_path, calibration=source.calibration,
        typed_models={"fp16": folder / "fp16.onnx"},
    )  # fmt: skip


def engine_of(assembly, bundle):
    store = EngineStore(assembly.config.state_path)
    record = store.record(bundle)
    return record and store.plan(bundle, record)


def test_every_version_builds_and_installs(fake, keyword_bundle, assembly):
    done = compile_bundle(keyword_bundle, FP32, assembly)
    assert done.state == "built"
    assert done.record.hardware.tensorrt == fake[1].__version__
    assert done.record.parity["least_cosine"] > 0.999999
    assert engine_of(assembly, keyword_bundle)
    assert (fake[0].memory, fake[0].open_contexts) == ({}, 0)


def test_a_second_time_there_is_nothing_to_do(newest, keyword_bundle, assembly):
    compile_bundle(keyword_bundle, FP32, assembly)
    newest[1].faults.build_fails = True
    assert compile_bundle(keyword_bundle, FP32, assembly).state == "up to date"


def test_another_precision_driver_or_force_builds_again(newest, keyword_bundle, assembly, with_fp16):
    compile_bundle(keyword_bundle, FP32, assembly)
    assert compile_bundle(keyword_bundle, Wish("fp32", force=True), assembly).state == "built"
    newest[0].driver_version = 13000
    assert compile_bundle(keyword_bundle, FP32, assembly).state == "built"
    assert compile_bundle(with_fp16, Wish("fp16"), assembly).record.precision == "fp16"


def test_a_damaged_engine_is_built_again(newest, keyword_bundle, assembly):
    compile_bundle(keyword_bundle, FP32, assembly)
    next(EngineStore(assembly.config.state_path).place(keyword_bundle).glob("*.plan")).write_bytes(b"")
    assert compile_bundle(keyword_bundle, FP32, assembly).state == "built"


@pytest.mark.parametrize("faults", [{"factor": 1.1}, {"factor": -1.0}, {"noise": 0.3}, {"factor": float("nan")}])
def test_an_engine_that_is_wrong_without_an_error_is_refused(newest, keyword_bundle, assembly, faults):
    compile_bundle(keyword_bundle, FP32, assembly)
    before = engine_of(assembly, keyword_bundle)
    for name, value in faults.items():
        setattr(newest[1].faults, name, value)
    newest[0].driver_version = 13000
    with pytest.raises((AcceleratorError, BundleError), match=r"refused|finite"):
        compile_bundle(keyword_bundle, FP32, assembly)
    assert engine_of(assembly, keyword_bundle) == before
    assert (newest[0].memory, newest[0].open_contexts) == ({}, 0)


@pytest.mark.parametrize("noise", [0.3, float("nan")])
def test_what_was_refused_is_not_built_again_at_every_start(newest, keyword_bundle, assembly, noise):
    # minutes of building, for nothing, at each start of the daemon
    newest[1].faults.noise = noise
    with pytest.raises(AcceleratorError, match="refused"):
        compile_bundle(keyword_bundle, FP32, assembly)
    newest[1].faults.noise, built = 0.0, []
    with pytest.raises(AcceleratorError, match=r"refused before.*--force"):
        compile_bundle(keyword_bundle, FP32, assembly, built.append)
    assert built == []
    assert compile_bundle(keyword_bundle, Wish("fp32", force=True), assembly).state == "built"
    assert compile_bundle(keyword_bundle, FP32, assembly).state == "up to date"


def test_auto_takes_fp32_where_fp16_is_not_right(newest, with_fp16, assembly, monkeypatch):
    # the daemon stayed on the CPU: only an FP16 that could not be built at all was followed by FP32
    right = run_module.compare

    def compared(bundle, expected, actual, precision, judges=()):
        found = right(bundle, expected, actual, precision, judges)
        return replace(found, least_cosine=0.5) if precision == "fp16" else found

    monkeypatch.setattr(run_module, "compare", compared)
    said = []
    assert compile_bundle(with_fp16, Wish(), assembly, said.append).record.precision == "fp32"
    assert any("fp16 engine refused" in text for text in said)
    again = []
    assert compile_bundle(with_fp16, Wish(), assembly, again.append).state == "up to date"
    assert not any("building" in text for text in again)


@pytest.mark.parametrize("fault", ["build_fails", "read_fails", "builder_gives_nothing", "run_fails", "no_context"])
def test_whatever_fails_the_engine_before_stands(newest, keyword_bundle, assembly, fault):
    compile_bundle(keyword_bundle, FP32, assembly)
    before = engine_of(assembly, keyword_bundle)
    setattr(newest[1].faults, fault, True)
    with pytest.raises(AcceleratorError):
        compile_bundle(keyword_bundle, Wish("fp32", force=True), assembly)
    assert engine_of(assembly, keyword_bundle) == before
    assert (newest[0].memory, newest[0].open_contexts, newest[0].stack) == ({}, 0, [])


def test_auto_takes_fp16_where_it_can(fake, keyword_bundle, with_fp16, assembly):
    assert compile_bundle(with_fp16, Wish(), assembly).record.precision == "fp16"
    can = hasattr(fake[1].BuilderFlag, "FP16") or keyword_bundle.typed_model_path("fp16") is not None
    assert compile_bundle(keyword_bundle, Wish(), assembly).record.precision == ("fp16" if can else "fp32")


def test_the_timing_cache_is_kept_for_the_next_build(newest, keyword_bundle, assembly):
    first = compile_bundle(keyword_bundle, FP32, assembly)
    compile_bundle(keyword_bundle, Wish("fp32", force=True), assembly)
    store = EngineStore(assembly.config.state_path)
    assert store.timing_cache(first.record.hardware) == b"measured;measured;"


def test_an_enrolled_bank_has_its_say(newest, keyword_bundle, tmp_path):
    """A bank on the device judges too, by its own threshold."""
    assembly = Assembly(Config(state_dir=tmp_path))
    for name in ENROLMENT_CLIPS:
        padded = np.pad(0.05 * spoken_clip(name), 4800)
        sf.write(tmp_path / f"{name}.wav", padded, 16000)
    words = ["enroll", "--clips", str(tmp_path), "--stream", "hall", "--keyword", "maintenance", "--force"]
    run = CliRunner().invoke(app, [*words, "--state", str(tmp_path)])
    assert run.exit_code == 0, run.output
    done = compile_bundle(keyword_bundle, FP32, assembly)
    assert [v.label for v in done.parity.verdicts] == ["reference clips", "hall/keyword"]


def command(*arguments):
    return CliRunner().invoke(app, ["compile", *arguments])


def test_the_command(newest, tmp_path):
    run = command("keyword", "--precision", "fp32", "--json", "--state", str(tmp_path))
    assert run.exit_code == 0, run.output
    (one,) = json.loads(run.stdout)
    assert (one["state"], one["engine"]["precision"]) == ("built", "fp32")
    assert "up to date" in command("keyword", "--precision", "fp32", "--state", str(tmp_path)).output


def test_the_service_removes_what_no_stream_uses(newest, tmp_path):
    config = tmp_path / "edged.yaml"
    streams = "streams: {hall: {device: mic, monitors: [keyword]}}\n"
    config.write_text("devices: {mic: {source: file, path: x.wav}}\n" + streams, encoding="utf-8")
    old = tmp_path / "engines" / ("anomaly-" + "0" * 16)
    old.mkdir(parents=True)
    options = ["--precision", "fp32", "--config", str(config), "--state", str(tmp_path)]
    assert command("keyword", *options).exit_code == 0
    assert old.is_dir()  # only one that looks at all streams knows what none of them uses
    assert command("--optional", *options).exit_code == 0
    assert not old.exists()


def test_the_command_shows_what_tensorrt_says(newest, tmp_path):
    newest[1].faults.build_fails = True
    run = command("keyword", "--precision", "fp32", "--state", str(tmp_path))
    assert run.exit_code == 1
    assert "could not find any implementation" in str(run.exception)


def test_without_a_gpu_the_service_has_nothing_to_do(tmp_path):
    with accelerator(VERSIONS[0], Gpu(n_devices=0)):
        assert command("keyword", "--optional", "--state", str(tmp_path)).exit_code == 0
        run = command("keyword", "--state", str(tmp_path))
        assert isinstance(run.exception, AcceleratorError)


def test_the_service_builds_nothing_where_the_gpu_is_not_to_be_used(newest, tmp_path):
    """edged-compile.service built for minutes what `use_gpu: false` forbids to use."""
    config = tmp_path / "edged.yaml"
    config.write_text("use_gpu: false\n", encoding="utf-8")
    run = command("keyword", "--optional", "--config", str(config), "--state", str(tmp_path))
    assert (run.exit_code, run.stdout) == (0, "")
    assert newest[0].calls == []


def test_an_unknown_precision_is_a_usage_error(tmp_path):
    run = command("keyword", "--precision", "fp8", "--state", str(tmp_path))
    assert run.exception.exit_code == 2
