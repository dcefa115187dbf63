"""What holds a run up is named: a slow loader, a slow front end, or the network."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainer import runs
from trainer.data.corpus import CorpusDataset
from trainer.data.sampler import MAX_WORKERS, ResumableLoader, workers_for
from trainer.metrics_file import METRICS, read_metrics
from trainer.throughput import COLUMNS, FRONT_END, LOADER, NETWORK, gpu_utilisation
from trainer.training import fit

SLOW_S = 3.0


class FakeTime:
    """Passes only where something is slow, and a moment at every look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        self.now_s += 0.001
        return self.now_s


CLOCK = FakeTime()


def wait() -> None:
    CLOCK.now_s += SLOW_S


class SlowCorpus(CorpusDataset):
    """Takes its time for every batch."""

    def __getitems__(self, places):
        wait()
        return [self[place] for place in places]


class SlowFrontEnd(runs.Objective):
    """Calls the parts of the network one by one, as losses per branch do: nobody saw where the front end ended."""

    def forward(self, network, batch):
        wait()
        return super().forward(network[0], batch)


class SlowLayer(nn.Module):
    def forward(self, x):
        wait()
        return x


@pytest.mark.parametrize("slow", [LOADER, FRONT_END, NETWORK])
def test_the_bottleneck_is_named(slow: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("trainer.throughput.time", CLOCK)
    network = nn.Sequential(*([SlowLayer()] if slow == NETWORK else []), runs.network())
    objective = SlowFrontEnd() if slow == FRONT_END else runs.Objective()
    dataset = (SlowCorpus if slow == LOADER else CorpusDataset)(runs.corpus())
    fit(network, objective, ResumableLoader(dataset, runs.BATCH, 0), runs.settings(tmp_path, max_epochs=2))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]
    assert [f"(bottleneck: {slow}); GPU use not available" in line for line in lines] == [True, True]
    for row in read_metrics(tmp_path / METRICS):
        assert row[f"throughput/{COLUMNS[slow]}"] == pytest.approx(1.0, abs=0.01)
        assert row["throughput/epoch_s"] == pytest.approx(SLOW_S * runs.STEPS_PER_EPOCH, rel=0.01)
        n_samples = row["throughput/samples_per_s"] * row["throughput/epoch_s"]
        assert n_samples == pytest.approx(runs.STEPS_PER_EPOCH * runs.BATCH, rel=1e-4)


def test_a_gpu_gets_workers_and_the_cpu_none() -> None:
    assert 1 <= workers_for(on_gpu=True).n <= MAX_WORKERS
    assert workers_for(on_gpu=True).pinned
    assert workers_for(on_gpu=False).n == 0


def test_a_cpu_has_no_gpu_to_be_used() -> None:
    assert gpu_utilisation(torch.device("cpu")) is None
