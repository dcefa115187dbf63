"""The stages of the real monitors, measured without changing what they decide."""

import numpy as np
import pytest

from edged.assembly import Assembly, open_bundle
from edged.bench.back_end import back_end_of
from edged.bench.stages import LEAST_SEGMENTS, StageBench, endless_blocks
from edged.config import AnomalySettings, Config
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.errors import UsageError
from edged.flow import Block
from edged.pipeline import AnomalyMonitor
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain, enroll_keyword
from edged.references.store import BankStore
from edged.references.terms import Terms
from tests.fakes.sounds import machine


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory):
    """A state with both monitors on one stream."""
    assembly = Assembly(Config(state_dir=tmp_path_factory.mktemp("state")))
    terms = Terms(force=True)
    with BankStore(assembly.config.state_path) as store:
        clips = [clip_of_samples(f"{seed}", machine(10, seed), ANOMALY_CLIPS) for seed in range(4)]
        enroll_domain(assembly, store, "press", clips, terms=terms)
        words = [clip_of_samples(name, 0.05 * spoken_clip(name), KEYWORD_CLIPS) for name in ENROLMENT_CLIPS]
        enroll_keyword(assembly, store, "press", words, word="maintenance", terms=terms)
    return assembly


def monitor_of(assembly, name):
    with BankStore(assembly.config.state_path) as store:
        return assembly.monitor(store, "press", name)


def test_blocks_run_on_one_clock_for_ever():
    blocks = endless_blocks(np.arange(10, dtype=np.float32), 4)
    taken = [next(blocks) for _ in range(5)]
    assert [block.sample for block in taken] == [0, 4, 8, 12, 16]
    assert [block.samples[0] for block in taken] == [0, 4, 0, 4, 0]


@pytest.mark.parametrize(("name", "back_end"), [("anomaly", "back end"), ("keyword", "DTW")])
def test_every_stage_of_a_monitor_is_measured(enrolled, name, back_end):
    monitor = monitor_of(enrolled, name)
    cost = StageBench(monitor, enrolled.embedder(monitor.bundle), 640).run(machine(20, 9), 0.2)
    assert [stage.name for stage in cost.stages] == ["features", "embedding", back_end, "decision"]
    assert all(stage.calls >= LEAST_SEGMENTS for stage in cost.stages)
    assert all(stage.load > 0 for stage in cost.stages[:3])
    assert all(stage.p99_s >= stage.p50_s >= 0 for stage in cost.stages)
    assert cost.runs_on == "CPUExecutionProvider"
    assert cost.load == pytest.approx(sum(stage.load for stage in cost.stages))
    assert cost.delay_s == pytest.approx(sum(stage.p50_s for stage in cost.stages))


def test_what_is_measured_is_what_the_daemon_would_do(enrolled):
    """Scores of a monitor that is measured are those of one that is not."""
    measured, plain = monitor_of(enrolled, "anomaly"), monitor_of(enrolled, "anomaly")
    embedder, scores = enrolled.embedder(plain.bundle), []
    accept = measured.accept
    measured.accept = lambda embedding: scores.append(accept(embedding)) or scores[-1]
    sound = machine(20, 9)
    StageBench(measured, embedder, 640).run(sound, 0.0)
    blocks, expected = endless_blocks(sound, 640), []
    while len(expected) < len(scores):
        expected += [plain.accept(one) for one in embedder.embed(plain.push(next(blocks)))]
    assert [s.scored[0].anomaly_score for s in scores] == [s.scored[0].anomaly_score for s in expected[: len(scores)]]


def test_a_slower_stage_shows_where_it_is(enrolled, monkeypatch):
    monitor = monitor_of(enrolled, "keyword")
    before = StageBench(monitor, enrolled.embedder(monitor.bundle), 640).run(machine(20, 9), 0.2)
    push = monitor.push

    def slow(block: Block):
        for _ in range(3000):
            np.sum(block.samples)
        return push(block)

    monkeypatch.setattr(monitor, "push", slow)
    after = StageBench(monitor, enrolled.embedder(monitor.bundle), 640).run(machine(20, 9), 0.0)
    assert after.stages[0].load > 3 * before.stages[0].load
    assert after.stages[0].p50_s > 3 * before.stages[0].p50_s
    assert after.stages[1].load < 3 * before.stages[1].load


def test_a_monitor_without_references_is_refused():
    monitor = AnomalyMonitor("press", open_bundle("anomaly"), AnomalySettings())
    with pytest.raises(UsageError, match="nothing is enrolled"):
        back_end_of(monitor)
