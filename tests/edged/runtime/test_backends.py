"""The CPU from the first second; an engine once there is one that is right; the CPU again when it fails."""

import threading
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from edged.assembly import Assembly, open_bundle
from edged.compile import reference, run
from edged.compile.engines import EngineStore
from edged.compile.run import Wish, compile_bundle
from edged.config import Config
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.flow import Block
from edged.frontend import front_end
from edged.runtime import backends
from edged.runtime.backends import NO_ENGINE, Backends, SwitchingEmbedder
from tests.fakes.accelerator import accelerator
from tests.fakes.cuda import Gpu
from tests.fakes.tensorrt import VERSIONS

BUNDLE = open_bundle("keyword")
TENSORRT = f"TensorRT {VERSIONS[-1]} fp32"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short reference sound, no bank, and no waiting between two looks."""
    words = reference.spoken_signal()[:24_000]
    monkeypatch.setattr(reference, "spoken_signal", lambda: np.array(words))
    monkeypatch.setattr(backends, "LOOK_EVERY_S", 0.01)


@pytest.fixture
def gpu():
    with accelerator(VERSIONS[-1]) as made:
        yield made


@pytest.fixture(scope="module")
def segments():
    noise = 0.05 * np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    features = front_end(BUNDLE)
    return [*features.push(Block(0, noise)), *features.flush()]


class Plant:
    """The worker's place: actions wait until `work`, as they do for the end of a segment."""

    def __init__(self, state_dir, **settings):
        self.assembly = Assembly(Config(state_dir=state_dir, **settings))
        self.actions, self.said = deque(), []
        self._changed = threading.Condition()
        self.backends = Backends(self.assembly, [BUNDLE], self._later, self._announce)
        self.embedder = self.backends.embedder(BUNDLE)

    def _later(self, action):
        with self._changed:
            self.actions.append(action)
            self._changed.notify_all()

    def _announce(self, change):
        with self._changed:
            self.said.append((change.state, change.reason))
            self._changed.notify_all()

    def wait_for_action(self):
        with self._changed:
            assert self._changed.wait_for(lambda: self.actions, 60.0)

    def work(self):
        while self.actions:
            self.actions.popleft()()

    @property
    def status(self):
        (facts,) = self.backends.status().values()
        return facts["runs_on"], facts["reason"]


def build(state_dir):
    """An engine, without asking any bank."""
    assembly = Assembly(Config(state_dir=state_dir))
    real, run.probe_judge = run.probe_judge, None
    judges, run.enrolled_judges = run.enrolled_judges, lambda *_: []
    compare, run.compare = run.compare, lambda b, e, a, p, _judges: compare(b, e, a, p)
    run.probe_judge = lambda *_: None
    try:
        return compile_bundle(BUNDLE, Wish("fp32", force=True), assembly)
    finally:
        run.probe_judge, run.enrolled_judges, run.compare = real, judges, compare


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path)
    yield made
    assert made.backends.stop(60.0)


def check_same(found, segments):
    for a, b in zip(found, OnnxEmbedder(BUNDLE).embed(segments), strict=True):
        np.testing.assert_allclose(a.vectors["speech"], b.vectors["speech"], atol=1e-5)


def test_the_cpu_serves_until_there_is_an_engine(gpu, plant, segments):
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    assert plant.status == ("CPUExecutionProvider", NO_ENGINE)
    assert plant.said == []  # nothing new: nobody promised a GPU
    check_same(plant.embedder.embed(segments), segments)


def test_an_engine_that_appears_is_switched_to_between_two_segments(gpu, plant, segments, tmp_path):
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    build(tmp_path)
    plant.wait_for_action()
    assert plant.status[0] == "CPUExecutionProvider"  # not before the worker comes to it
    plant.work()
    assert plant.status == (TENSORRT, "")
    assert plant.said == [(TENSORRT, f"runs {BUNDLE.label}")]
    check_same(plant.embedder.embed(segments), segments)


def test_an_engine_of_before_the_start_is_taken(gpu, plant, tmp_path):
    build(tmp_path)
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    assert plant.status == (TENSORRT, "")


def test_a_newer_engine_replaces_it_and_the_old_one_is_released(gpu, plant, tmp_path):
    build(tmp_path)
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    assert gpu[0].open_contexts == 1
    store = EngineStore(tmp_path)
    record = store.record(BUNDLE)
    store.install(BUNDLE, record, store.plan(BUNDLE, record).replace(b"{", b"{ ", 1))
    plant.wait_for_action()
    plant.work()
    assert (plant.status[0], gpu[0].open_contexts) == (TENSORRT, 1)


@pytest.mark.parametrize("fault", ["run_fails", "nan"])
def test_when_the_engine_fails_the_cpu_goes_on_with_the_same_segments(gpu, plant, segments, tmp_path, fault):
    build(tmp_path)
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    if fault == "nan":
        gpu[1].faults.factor = float("nan")
    else:
        gpu[1].faults.run_fails = True
        gpu[0].fails.add("launch")
    check_same(plant.embedder.embed(segments), segments)
    assert plant.status[0] == "CPUExecutionProvider"
    assert plant.status[1]
    assert plant.said[1:] == [("CPU", f"{BUNDLE.label}: {plant.status[1]}")]  # only the log knew
    assert gpu[0].open_contexts == 0
    check_same(plant.embedder.embed(segments), segments)


@pytest.mark.parametrize("change", ["driver", "wrong", "unreadable", "altered", "record"])
def test_an_engine_that_cannot_be_used_leaves_the_cpu_and_says_why(gpu, plant, tmp_path, change):
    build(tmp_path)
    place = EngineStore(tmp_path).place(BUNDLE)
    if change == "driver":
        gpu[0].driver_version = 13000
    elif change == "wrong":
        gpu[1].faults.factor = 1.1
    elif change == "unreadable":
        gpu[1].faults.read_fails = True
    elif change == "altered":
        next(place.glob("*.plan")).write_bytes(b"other")
    else:
        (place / "engine.json").write_text("{")
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    provider, reason = plant.status
    expected = {"driver": "other hardware: cuda_driver", "wrong": "embeddings differ", "unreadable": "not compatible",
                "altered": "altered", "record": "engine.json"}  # fmt: skip
    assert provider == "CPUExecutionProvider"
    assert expected[change] in reason
    assert plant.said[0][0] == "CPU"
    assert (gpu[0].memory, gpu[0].open_contexts) == ({}, 0)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that only a test lets pass; looks are the test's own too."""
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(backends, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


def tries(gpu, plant, clock, duration_s):
    """When a look did something with the GPU, in seconds from now."""
    found = []
    for second in range(duration_s):
        calls = len(gpu[0].calls)
        plant.backends._look(BUNDLE)
        plant.work()
        found += [second] if len(gpu[0].calls) > calls else []
        clock.s += 1.0
    return found


def test_a_bad_engine_is_tried_ever_more_seldom_and_told_of_once(gpu, plant, tmp_path, clock):
    build(tmp_path)
    gpu[1].faults.read_fails = True
    assert tries(gpu, plant, clock, 500) == [0, 60, 180, 420]
    assert len(tries(gpu, plant, clock, 24 * 3600)) == pytest.approx(24, abs=4)
    assert len(plant.said) == 1


def test_an_engine_that_finds_room_later_is_taken(gpu, plant, tmp_path, clock):
    """A GPU that was full when the device started left it on the CPU until somebody restarted it."""
    build(tmp_path)
    gpu[1].faults.read_fails = True
    tries(gpu, plant, clock, 30)
    assert plant.status[0] == "CPUExecutionProvider"
    gpu[1].faults.read_fails = False
    tries(gpu, plant, clock, 40)
    assert plant.status == (TENSORRT, "")


def test_what_runs_instead_of_a_bad_engine_is_made_once(gpu, plant, tmp_path, clock, monkeypatch):
    """ONNX Runtime on the GPU, say: each try of the engine made it anew, and told of it."""
    build(tmp_path)
    gpu[1].faults.read_fails = True
    made = []

    class Fast(OnnxEmbedder):
        def close(self):
            made.remove(self)

    def instead(self, bundle, reason):
        made.append(Fast(BUNDLE))
        self._hand_over(bundle, made[-1], reason)

    monkeypatch.setattr(Backends, "_without_engine", instead)
    assert tries(gpu, plant, clock, 500) == [0, 60, 180, 420]
    assert len(plant.said) == 1
    assert len(made) == 1


def test_an_engine_that_fails_again_and_again_is_left_alone_for_longer(gpu, plant, segments, tmp_path, clock):
    build(tmp_path)
    switched = []
    for second in range(500):
        plant.backends._look(BUNDLE)
        plant.work()
        if plant.status[0] == TENSORRT:
            switched.append(second)
            gpu[1].faults.factor = float("nan")
            plant.embedder.embed(segments)
            gpu[1].faults.factor = 1.0
        clock.s += 1.0
    assert switched == [0, 60, 180, 420]


def test_without_tensorrt_the_reason_is_said(plant, tmp_path, monkeypatch):
    with accelerator(VERSIONS[-1]):
        build(tmp_path)
    with accelerator(VERSIONS[-1], Gpu(n_devices=0)):
        plant.backends.start()
        plant.wait_for_action()
        assert "no GPU" in plant.status[1]


def test_use_gpu_false_never_looks(gpu, tmp_path):
    build(tmp_path)
    plant = Plant(tmp_path, use_gpu=False)
    plant.backends.start()
    assert plant.backends.stop(1.0)
    assert not plant.actions
    assert plant.status[0] == "CPUExecutionProvider"


def test_an_engine_that_cannot_be_compared_is_released(gpu, tmp_path, monkeypatch):
    """It stayed in the GPU's memory."""
    build(tmp_path)
    plant = Plant(tmp_path)

    def refuse(*_):
        raise BundleError("no room for another session")

    monkeypatch.setattr(Assembly, "embedder", refuse)
    plant.backends._look(BUNDLE)
    assert "no room" in plant.status[1]
    assert (gpu[0].memory, gpu[0].open_contexts) == ({}, 0)


def test_what_the_worker_never_took_is_released_too(gpu, tmp_path):
    build(tmp_path)
    plant = Plant(tmp_path)
    plant.backends.start()
    plant.wait_for_action()
    assert plant.backends.stop(60.0)
    assert (gpu[0].memory, gpu[0].open_contexts) == ({}, 0)


def test_a_switch_releases_what_it_replaces():
    class Fast:
        provider = "fast"
        closed = 0

        def close(self):
            self.closed += 1

    one, two = Fast(), Fast()
    switch = SwitchingEmbedder(OnnxEmbedder(BUNDLE))
    switch.use(one)
    switch.use(two)
    assert (one.closed, two.closed, switch.provider) == (1, 0, "fast")
    switch.use(None)
    assert (two.closed, switch.provider) == (1, "CPUExecutionProvider")


class Failing:
    """A GPU that fails as its libraries please, and then does not even let go."""

    provider = "failing"

    def embed(self, _segments):
        raise ZeroDivisionError("no such stream")

    def close(self):
        raise OSError("the device is lost")


def test_whatever_a_gpu_raises_the_cpu_goes_on_and_it_is_told(segments):
    # what was not an error of edged's own ended the worker
    told = []
    switch = SwitchingEmbedder(OnnxEmbedder(BUNDLE), told.append)
    switch.use(Failing())
    check_same(switch.embed(segments), segments)
    assert (switch.provider, switch.fault) == ("CPUExecutionProvider", "ZeroDivisionError: no such stream")
    assert told == ["ZeroDivisionError: no such stream"]


@pytest.mark.parametrize("place", ["_found", "_without_engine"])
def test_whatever_a_look_raises_the_watcher_goes_on(plant, monkeypatch, place):
    # it ended the watcher, and with it the daemon
    looked = threading.Event()
    original, n_looks = getattr(Backends, place), []

    def break_first(self, *arguments):
        n_looks.append(place)
        if len(n_looks) == 1:
            raise MemoryError("no room for a context")
        looked.set()
        return original(self, *arguments)

    monkeypatch.setattr(Backends, place, break_first)
    plant.backends.start()
    plant.wait_for_action()
    plant.work()
    assert plant.said == [("CPU", f"{BUNDLE.label}: MemoryError: no room for a context")]
    if place == "_found":  # the next look finds what is there
        assert looked.wait(60.0)
    else:
        assert plant.status == ("CPUExecutionProvider", "MemoryError: no room for a context")
