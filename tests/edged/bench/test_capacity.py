"""How many streams: by hand, and by adding streams until something gives out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bench.capacity import CORES, DAEMON, MEMORY, Real, Room, StreamCost, predict, real_over_hot
from edged.bench.capture import CaptureCost
from edged.bench.stages import MonitorCost, Stage

ROOM = Room(cores=4.0, idle_cores=4.0, free_mib=1e6, stream_mib=20.0, block_s=0.04)


def stream(name="press", *, child=0.01, reader=0.01, features=0.01, embedding=0.05, dtw=0.0, on_device=1):
    stages = tuple(
        Stage(stage, load, load / 2, load, 10)
        for stage, load in (("features", features), ("embedding", embedding), ("back end", dtw))
    )
    capture = CaptureCost(Stage("capture child", child, 0, 0, 1), Stage("capture reader", reader, 0, 0, 1), on_device)
    return StreamCost(name, capture, (MonitorCost("anomaly", "b@1:00", "CPU", 2.56, stages),))


def test_the_daemon_has_one_core():
    found = predict([stream()], ROOM, Real())
    assert (found.streams, found.limit) == (14, DAEMON)  # 1 / 0.07
    assert (found.stage, found.share) == ("anomaly: embedding", pytest.approx(5 / 7))


def test_few_cores_are_shared_with_the_capture_children():
    found = predict([stream(child=0.2)], Room(1.0, 1.0, 1e6, 20.0, 0.04), Real())
    assert (found.streams, found.limit, found.stage) == (3, CORES, "capture child")


def test_other_programs_leave_less():
    found = predict([stream()], Room(4.0, 0.2, 1e6, 20.0, 0.04), Real(daemon=1.0, children=1.0))
    assert (found.streams, found.beside_others) == (14, 2)  # 0.2 / 0.08
    assert predict([stream()], Room(4.0, 0.0, 1e6, 20.0, 0.04), Real()).beside_others == 0


def test_memory_may_give_out_first():
    found = predict([stream()], Room(4.0, 4.0, 100.0, 20.0, 0.04), Real())
    assert (found.streams, found.limit) == (5, MEMORY)
    assert predict([stream()], Room(4.0, 4.0, -5.0, 20.0, 0.04), Real()).streams == 0


def test_streams_of_one_device_share_its_capture():
    alone, shared = stream(child=0.1, reader=0.1), stream(child=0.1, reader=0.1, on_device=4)
    assert shared.child[1] == pytest.approx(alone.child[1] / 4)
    assert predict([shared] * 4, ROOM, Real()).streams > predict([alone], ROOM, Real()).streams


def test_what_a_real_daemon_used_goes_into_the_load():
    mix = [stream(), stream(embedding=0.03)]
    real = real_over_hot(mix, daemon_load=0.24, children_load=0.06)
    assert (real.daemon, real.children) == (pytest.approx(2.0), pytest.approx(3.0))
    assert predict(mix, ROOM, real).at_least == 8  # 1 / 0.12
    assert predict(mix, ROOM, real).streams == predict(mix, ROOM, Real()).at_least == 16
    assert predict(mix, ROOM, real).load == pytest.approx((0.24 + 0.06) / 2)
    assert predict(mix, ROOM, Real()).load == pytest.approx((0.12 + 0.02) / 2)


def test_segments_that_end_together_wait_for_each_other():
    mix = [stream(embedding=0.05), stream(embedding=0.05), stream(embedding=0.1)]
    found = predict(mix, ROOM, Real())
    assert found.at_once == 3
    assert found.delay_s == pytest.approx(0.04 + 0.055)
    assert found.all_at_once_s == pytest.approx(0.04 + 0.03 + 0.03 + 0.055)


def test_a_gpu_takes_the_embedding_off_the_processor():
    (cost,) = stream().monitors
    faster = cost.run_by("TensorRT 10.3.0 fp16", p50_s=0.002, p99_s=0.003, segment_s=0.000256)
    by_name = {stage.name: stage for stage in faster.stages}
    assert faster.runs_on == "TensorRT 10.3.0 fp16"
    assert by_name["embedding"].load == pytest.approx(0.0001)
    assert (by_name["embedding"].p50_s, by_name["embedding"].p99_s) == (0.002, 0.003)
    assert by_name["features"] == cost.stages[0]


@given(
    st.lists(st.tuples(*[st.floats(0.001, 0.4)] * 4), min_size=1, max_size=4),
    st.floats(0.5, 8.0),
)
def test_one_stream_more_would_be_too_many(loads, cores):
    mix = [stream(child=c, reader=r, features=f, embedding=e) for c, r, f, e in loads]
    found = predict(mix, Room(cores, cores, 1e9, 1.0, 0.04), Real())
    daemon = sum(one.daemon_load for one in mix) / len(mix)
    child = sum(one.child[1] for one in mix) / len(mix)

    def fits(n):
        return n * daemon <= 1.0 and n * (daemon + child) <= cores

    assert found.streams == 0 or fits(found.streams - 1e-6)
    assert not fits(found.streams + 1 + 1e-6)
