"""Two processes, each with half of every batch, against one with all of it: the same losses, scales and weights."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import distributed as dist
from torch import multiprocessing as mp

from edged.errors import ConfigError
from tests.trainer import runs
from trainer.checkpoints import LAST_CHECKPOINT, read_checkpoint
from trainer.losses.adacos import adaptive_scale as adacos_scale
from trainer.losses.running_scale import of_all_processes
from trainer.losses.subcluster_adacos import adaptive_scale as subcluster_scale
from trainer.losses.tacos import adaptive_scale as tacos_scale
from trainer.metrics_file import METRICS, read_metrics
from trainer.resumption import SameStart

N_SAMPLES, N_CLASSES, N_CENTRES = 10, 4, 3
PARTS = (slice(0, 4), slice(4, N_SAMPLES))
"""Of unequal size."""


def scales(part: slice) -> list[float]:
    """By every rule, from some samples of this process."""
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(N_SAMPLES, N_CLASSES, N_CENTRES, generator=generator)[part]
    labels = torch.eye(N_CLASSES)[torch.arange(N_SAMPLES) % N_CLASSES][part]
    previous = torch.tensor(5.0)
    single = adacos_scale(cosines[:, :, 0], labels, previous)
    return [float(single), *(float(rule(cosines, labels, previous)) for rule in (subcluster_scale, tacos_scale))]


def in_process(rank: int, directory: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{directory / 'meet'}", rank=rank, world_size=len(PARTS))
    rows = of_all_processes(torch.arange(rank, 3.0)[:, None])  # 3 rows from the first, 2 from the second
    found = {"scales": scales(PARTS[rank]), "rows": rows.flatten().tolist()}
    (directory / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_every_process_has_the_scale_of_the_whole_batch(tmp_path: Path) -> None:
    """Each took the scale from its own part, and their losses differed."""
    mp.start_processes(in_process, (tmp_path,), nprocs=len(PARTS), start_method="fork")
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(len(PARTS)))
    assert first == second
    assert first["rows"] == [0.0, 1.0, 2.0, 1.0, 2.0]
    assert first["scales"] == pytest.approx(scales(slice(None)), rel=1e-6)


def start_unlike(rank: int, directory: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{directory / 'meet'}", rank=rank, world_size=2)
    place = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    SameStart(7).setup(place, None, "fit")
    try:
        SameStart(7 * rank).setup(place, None, "fit")
    except ConfigError as error:
        (directory / str(rank)).write_text(error.message)
    dist.destroy_process_group()


def test_processes_that_would_begin_at_different_steps_are_refused(tmp_path: Path) -> None:
    """One that did not see the run directory began anew beside one that went on; they waited for each other."""
    mp.start_processes(start_unlike, (tmp_path,), nprocs=2, start_method="fork")
    for rank in range(2):
        assert "different steps: [0, 7]" in (tmp_path / str(rank)).read_text()


class Report(Callback):
    """Each process writes down its scales."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def on_train_end(self, trainer, pl_module) -> None:
        path = self.directory / f"scales-{trainer.global_rank}.json"
        path.write_text(json.dumps(pl_module.objective.scales))


def trained(directory: Path, devices: int, **options: object):
    directory.mkdir()
    run = runs.settings(directory, devices=devices, strategy="ddp_fork", checkpoint_every_steps=2)
    module = runs.train(run, random=False, callbacks=(Report(directory),), **options)
    reports = [json.loads((directory / f"scales-{rank}.json").read_text()) for rank in range(devices)]
    return module, reports, [row["train/loss"] for row in read_metrics(directory / METRICS)]


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    one, (scales_of_one,), losses = trained(tmp_path / "one", 1, batch_norm=False)
    two, (first, second), losses_of_two = trained(tmp_path / "two", 2, batch_norm=False)
    assert first == second
    assert first == pytest.approx(scales_of_one, rel=1e-5)
    assert losses_of_two == pytest.approx(losses, rel=1e-5)
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=1e-5)


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    trained(tmp_path / "two", 2)
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == ["last.ckpt", METRICS, "previous.ckpt", "scales-0.json", "scales-1.json"]
    assert read_checkpoint(tmp_path / "two" / LAST_CHECKPOINT)["global_step"] == runs.EPOCHS * runs.STEPS_PER_EPOCH


def test_processes_draw_different_numbers(tmp_path: Path) -> None:
    class Draw(Callback):
        def on_train_batch_end(self, trainer, *_rest) -> None:
            with (tmp_path / f"drawn-{trainer.global_rank}").open("a") as handle:
                handle.write(f"{float(torch.rand(1))}\n")

    runs.train(runs.settings(tmp_path, devices=2, strategy="ddp_fork", max_epochs=1), callbacks=(Draw(),))
    first, second = ((tmp_path / f"drawn-{rank}").read_text().split() for rank in range(2))
    assert len(set(first)) == len(first) == runs.STEPS_PER_EPOCH
    assert not set(first) & set(second)


class Die(Callback):
    """Every process fails at the same step."""

    def on_train_batch_start(self, trainer, *_rest) -> None:
        if trainer.global_step == runs.STEPS_PER_EPOCH + 2:
            raise ZeroDivisionError


def test_two_processes_resume_like_one(tmp_path: Path) -> None:
    """Dropout and mixup of each process, too, are those of the run that nobody stopped."""
    common = {"devices": 2, "strategy": "ddp_fork", "checkpoint_every_steps": 1}
    whole = runs.train(runs.settings(tmp_path / "whole", **common))
    with pytest.raises(mp.ProcessRaisedException, match="ZeroDivisionError"):
        runs.train(runs.settings(tmp_path / "died", **common), callbacks=(Die(),))
    resumed = runs.train(runs.settings(tmp_path / "died", **common), resume=True)
    assert torch.equal(weights(resumed), weights(whole))
    losses, expected = ([r["train/loss"] for r in read_metrics(tmp_path / n / METRICS)] for n in ("died", "whole"))
    assert losses == pytest.approx(expected, rel=1e-6)
