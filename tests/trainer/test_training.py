"""Training that is killed, stopped or out of disk: what it leaves, and that it ends as if nothing had happened."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from edged.errors import UsageError
from tests.trainer import runs
from trainer.checkpoints import (
    LAST_CHECKPOINT,
    PREVIOUS_CHECKPOINT,
    CheckpointError,
    epochs_done,
    latest_checkpoint,
    load_network,
    read_checkpoint,
)
from trainer.files import StorageError
from trainer.interruption import TrainingStopped, part_of_many
from trainer.metrics_file import METRICS, read_metrics
from trainer.training import DivergedError, EmbeddingTraining, fit, training_loader


class DieAfter(Callback):
    """Ends the run after some steps, as a crash would: nothing is saved any more."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_start(self, trainer, *_) -> None:
        if trainer.global_step == self.steps:
            raise ZeroDivisionError


class InterruptAfter(Callback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, steps: int, number: signal.Signals = signal.SIGINT) -> None:
        self.steps, self.number = steps, number

    def on_before_zero_grad(self, trainer, *_) -> None:
        if trainer.global_step == self.steps:
            os.kill(os.getpid(), self.number)


def rows(directory: Path) -> list[dict[str, float]]:
    """What metrics.csv says of the training; not how fast it was."""
    return [
        {name: value for name, value in row.items() if not name.startswith("throughput")}
        for row in read_metrics(directory / METRICS)
    ]


def assert_same(a: EmbeddingTraining | dict[str, Tensor], b: EmbeddingTraining) -> None:
    states = [x if isinstance(x, dict) else x.state_dict() for x in (a, b)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddingTraining, Path]:
    """A run without interruption."""
    directory = tmp_path_factory.mktemp("whole")
    return runs.train(runs.settings(directory, ema_decay=0.9)), directory


@pytest.mark.parametrize("steps", range(1, runs.EPOCHS * runs.STEPS_PER_EPOCH))
def test_a_run_that_died_after_any_step_ends_with_the_same_weights(steps, whole, tmp_path: Path) -> None:
    run = runs.settings(tmp_path, checkpoint_every_steps=1, ema_decay=0.9)
    with pytest.raises(ZeroDivisionError):
        runs.train(run, callbacks=(DieAfter(steps),))
    assert read_checkpoint(tmp_path / LAST_CHECKPOINT)["global_step"] == steps
    assert_same(runs.train(run, resume=True), whole[0])
    assert rows(tmp_path) == rows(whole[1])
    assert len(rows(tmp_path)) == runs.EPOCHS


def test_a_killed_process_is_resumed(tmp_path: Path) -> None:
    """SIGKILL at whatever instant, perhaps while a checkpoint is written: it ends with the weights of a calm run."""
    expected = runs.train(runs.settings(tmp_path / "whole", max_epochs=40))
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.trainer.runs", str(killed)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (killed / PREVIOUS_CHECKPOINT).is_file() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert 0 < read_checkpoint(latest_checkpoint(killed))["global_step"] < 40 * runs.STEPS_PER_EPOCH
    assert_same(runs.train(runs.settings(killed, max_epochs=40), resume=True), expected)


def test_a_finished_run_is_not_trained_further(whole, tmp_path: Path) -> None:
    run = runs.settings(tmp_path, ema_decay=0.9)
    runs.train(run)
    checkpoint = (tmp_path / LAST_CHECKPOINT).read_bytes()
    assert_same(runs.train(run, resume=True, callbacks=(DieAfter(99),)), whole[0])
    assert (tmp_path / LAST_CHECKPOINT).read_bytes() == checkpoint
    assert rows(tmp_path) == rows(whole[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", [1, runs.STEPS_PER_EPOCH - 1, runs.STEPS_PER_EPOCH])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(number, steps, whole, tmp_path: Path) -> None:
    run = runs.settings(tmp_path, ema_decay=0.9)
    handlers = [signal.getsignal(number)]
    with pytest.raises(TrainingStopped, match="--resume") as stopped:
        runs.train(run, callbacks=(InterruptAfter(steps, number),))
    assert stopped.value.exit_code == 128 + number
    assert handlers == [signal.getsignal(number)]
    assert read_checkpoint(tmp_path / LAST_CHECKPOINT)["global_step"] == steps + 1
    assert_same(runs.train(run, resume=True), whole[0])
    assert rows(tmp_path) == rows(whole[1])


def test_the_second_signal_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        runs.train(
            runs.settings(tmp_path, checkpoint_every_steps=1),
            callbacks=(InterruptAfter(2), InterruptAfter(2)),
        )
    assert read_checkpoint(tmp_path / LAST_CHECKPOINT)["global_step"] == 2


def test_a_truncated_checkpoint_gives_way_to_the_one_before(whole, tmp_path: Path) -> None:
    run = runs.settings(tmp_path, checkpoint_every_steps=1, ema_decay=0.9)
    with pytest.raises(ZeroDivisionError):
        runs.train(run, callbacks=(DieAfter(7),))
    newest = tmp_path / LAST_CHECKPOINT
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"last.ckpt is damaged: going on from previous.ckpt"):
        resumed = runs.train(run, resume=True)
    assert_same(resumed, whole[0])
    assert rows(tmp_path) == rows(whole[1])


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    runs.train(runs.settings(tmp_path, max_epochs=1))
    content = bytearray((tmp_path / LAST_CHECKPOINT).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / LAST_CHECKPOINT).write_bytes(content)
    with pytest.raises(CheckpointError, match="all checkpoints are damaged"):
        latest_checkpoint(tmp_path)


def test_a_checkpoint_that_holds_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state": Path("x")}, tmp_path / LAST_CHECKPOINT)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_network(torch.nn.Linear(1, 1), tmp_path)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(1)}, torch.zeros(1)])
def test_weights_alone_are_no_checkpoint_of_a_run(tmp_path: Path, content: object) -> None:
    """They ended in a traceback about a missing key."""
    torch.save(content, tmp_path / LAST_CHECKPOINT)
    with pytest.raises(CheckpointError, match="not the checkpoint of a run"):
        load_network(torch.nn.Linear(1, 1), tmp_path)


def test_a_run_that_diverged_ends_and_says_so(tmp_path: Path) -> None:
    """It trained on to its last epoch, to be refused by the bundle's check of ONNX against torch."""

    class Explode(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_) -> None:
            if trainer.global_step == runs.STEPS_PER_EPOCH + 1:
                next(pl_module.network.parameters()).data.fill_(float("nan"))

    with pytest.raises(DivergedError, match=r"diverged in epoch 2: weights are not finite; lower learning_rate"):
        runs.train(runs.settings(tmp_path), callbacks=(Explode(),))


def test_a_full_disk_is_explained_and_the_older_checkpoint_stays(tmp_path: Path, monkeypatch) -> None:
    """A disk that takes two checkpoints and no more."""
    synced = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"{tmp_path}.*No space left.*free space") as refused:
        runs.train(runs.settings(tmp_path, checkpoint_every_steps=1))
    assert refused.value.exit_code == 1
    assert read_checkpoint(tmp_path / LAST_CHECKPOINT)["global_step"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST_CHECKPOINT, PREVIOUS_CHECKPOINT]


def test_a_new_run_forgets_the_checkpoints_of_the_old_one(tmp_path: Path) -> None:
    runs.train(runs.settings(tmp_path, max_epochs=2))
    with pytest.raises(ZeroDivisionError):
        runs.train(runs.settings(tmp_path), callbacks=(DieAfter(0),))
    assert latest_checkpoint(tmp_path) is None


def test_epochs_done_counts_whole_epochs(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        runs.train(runs.settings(tmp_path, checkpoint_every_steps=1), callbacks=(DieAfter(runs.STEPS_PER_EPOCH + 2),))
    assert epochs_done(read_checkpoint(tmp_path / LAST_CHECKPOINT)) == 1
    assert epochs_done(read_checkpoint(tmp_path / PREVIOUS_CHECKPOINT)) == 1


def test_checkpoints_by_the_clock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        runs.train(runs.settings(tmp_path, checkpoint_every_s=1e-9), callbacks=(DieAfter(3),))
    assert read_checkpoint(tmp_path / LAST_CHECKPOINT)["global_step"] == 3


def test_the_metrics_are_the_means_of_an_epoch(whole) -> None:
    module, directory = whole
    scales = torch.tensor(module.objective.scales).view(runs.EPOCHS, -1).mean(dim=1)
    assert [row["train/scale"] for row in rows(directory)] == pytest.approx(scales.tolist(), rel=1e-5)
    assert [row["epoch"] for row in rows(directory)] == [0, 1, 2]


def test_short_floats_train(tmp_path: Path) -> None:
    module = runs.train(runs.settings(tmp_path, precision="bf16-mixed", max_epochs=1))
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_the_average_is_what_the_loop_makes_it(tmp_path: Path) -> None:
    """And it is what is exported, with the statistics of batch normalisation."""
    seen: list[dict[str, Tensor]] = []

    class Watch(Callback):
        def on_train_start(self, trainer, pl_module) -> None:
            self.on_train_batch_end(trainer, pl_module)

        def on_train_batch_end(self, _, pl_module, *_rest) -> None:
            seen.append({name: value.clone() for name, value in pl_module.network.state_dict().items()})

    module = runs.train(runs.settings(tmp_path, ema_decay=0.8, max_epochs=2), callbacks=(Watch(),))
    expected = {name: value.double() for name, value in seen[0].items()}
    for step, state in enumerate(seen[1:], start=1):
        decay = min(0.8, (1 + step) / (10 + step))
        expected = {name: decay * expected[name] + (1 - decay) * state[name].double() for name in state}
    exported = runs.network()
    assert load_network(exported, tmp_path) == 2
    for name, value in module.network.state_dict().items():
        assert torch.equal(exported.state_dict()[name], value)
        if name.endswith("num_batches_tracked"):
            assert value == 2 * runs.STEPS_PER_EPOCH
        else:
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """A run in the background of a script is not to end with the script's Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runs.train(runs.settings(tmp_path, max_epochs=1), callbacks=(InterruptAfter(1),))
    finally:
        signal.signal(signal.SIGINT, before)
    assert epochs_done(read_checkpoint(tmp_path / LAST_CHECKPOINT)) == 1


@pytest.mark.parametrize("content", ["epoch,step\n0,x\n", "epoch\n0\n", "step\n1,2\n", "step\nnan\n"])
def test_damaged_metrics_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text(content)
    with pytest.raises(UsageError, match=METRICS):
        read_metrics(tmp_path / METRICS)


def test_one_training_of_many_is_not_said_to_resume(tmp_path: Path) -> None:
    """A stopped table of open-set systems named a `--resume` it does not have."""
    with pytest.raises(TrainingStopped, match="begins this training again"), part_of_many():
        raise TrainingStopped(tmp_path, 2)


def test_a_network_that_was_only_listened_to_before_is_trained_with_its_normalisation(tmp_path: Path) -> None:
    """One restored from a bundle was trained with frozen statistics and without dropout."""
    network, seen = runs.network().eval(), []

    class Looks(Callback):
        def on_train_batch_start(self, _trainer, module, *_) -> None:
            seen.append(all(part.training for part in module.network.modules()))

    loader = training_loader(runs.corpus(), runs.BATCH, 3, accelerator="cpu")
    fit(network, runs.Objective().eval(), loader, runs.settings(tmp_path, max_epochs=1), callbacks=(Looks(),))
    assert len(seen) == runs.STEPS_PER_EPOCH
    assert all(seen)
    assert int(network[1].num_batches_tracked) == runs.STEPS_PER_EPOCH
    assert not network.training
