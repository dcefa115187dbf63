"""The order of samples: from seed and epoch alone, shared out between processes, and resumable anywhere."""

import pickle
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from edged.errors import ConfigError
from trainer.data import sampler
from trainer.data.balance import class_weights
from trainer.data.corpus import Corpus, CorpusDataset, open_corpus, shared_corpus, write_corpus
from trainer.data.sampler import EpochBatches, ResumableLoader, Workers, epoch_order
from trainer.files import StorageError


class Places(Dataset):
    """Samples that say what they were asked for."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place: tuple[int, int]) -> torch.Tensor:
        return torch.tensor(place)


def read(loader: ResumableLoader, n_epochs: int) -> list[list[list[int]]]:
    return [batch.tolist() for _ in range(n_epochs) for batch in loader]


@given(n=st.integers(1, 40), batch=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_sample_once_but_the_last_batch(n: int, batch: int, seed: int) -> None:
    seen = [index for rows in EpochBatches(n, batch, seed) for _, index in rows]
    assert len(set(seen)) == len(seen) == n // batch * batch
    assert set(seen) <= set(range(n))


def test_epochs_differ_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(20, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@given(n_processes=st.sampled_from([1, 2, 3, 4]), epoch=st.integers(0, 5))
def test_the_parts_of_all_processes_make_the_batches_of_one(n_processes: int, epoch: int) -> None:
    def batches(rank: int, world: int) -> list[list[tuple[int, int]]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sampler, "process_rank", lambda: (rank, world))
            rows = EpochBatches(50, 12, 7)
            rows.epoch = epoch
            return list(rows)

    parts = [batches(rank, n_processes) for rank in range(n_processes)]
    assert [list(chain(*rows)) for rows in zip(*parts, strict=True)] == batches(0, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_from_any_batch(workers: int) -> None:
    whole = read(ResumableLoader(Places(11), 3, 5), 3)
    for stop in range(len(whole) + 1) if workers == 0 else (4,):
        first = ResumableLoader(Places(11), 3, 5, workers=Workers(workers))
        seen = []
        while len(seen) < stop:
            for batch in first:
                seen.append(batch.tolist())
                if len(seen) == stop:
                    break
        second = ResumableLoader(Places(11), 3, 5, workers=Workers(workers))
        second.load_state_dict(first.state_dict())
        while len(seen) < len(whole):
            seen += read(second, 1)
        assert seen == whole


def test_weights_draw_rare_classes_more_often() -> None:
    classes = np.array([0] * 90 + [1] * 10)
    drawn = np.concatenate([classes[epoch_order(100, 0, epoch, class_weights(classes))] for epoch in range(50)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)


def test_fewer_samples_than_a_batch_are_refused() -> None:
    """The run ended at once, with a network that had learned nothing."""
    with pytest.raises(ConfigError, match="batch_size 8 is more than the 5 segments"):
        ResumableLoader(Places(5), 8, 0)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "process_rank", lambda: (0, 2))
    with pytest.raises(ConfigError, match="batch_size 3 cannot be shared by 2 processes"):
        next(iter(ResumableLoader(Places(11), 3, 0)))


def stored(path: Path, n: int = 600, n_samples: int = 1000, key: str = "k") -> Corpus:
    rng = np.random.default_rng(0)
    segments = [("ab"[k % 2], rng.uniform(-1, 1, n_samples).astype(np.float32)) for k in range(n)]
    return write_corpus(path, segments, n + 5, n_samples, key=key)


def test_the_shift_follows_from_seed_epoch_and_index(tmp_path: Path) -> None:
    corpus = stored(tmp_path / "c.npy", 4)
    one, two = CorpusDataset(corpus, 1), CorpusDataset(corpus, 1)
    later = two[2, 3]["signals"]
    assert torch.equal(one[2, 3]["signals"], later)
    assert not torch.equal(one[3, 3]["signals"], later)
    assert not torch.equal(CorpusDataset(corpus, 2)[2, 3]["signals"], later)
    torch.testing.assert_close(later.sort().values, one[0, 3]["signals"].sort().values)


def test_workers_get_the_place_of_the_corpus_and_not_its_content(tmp_path: Path) -> None:
    """Pickled for a started process, a mapped array is copied whole."""
    dataset = CorpusDataset(stored(tmp_path / "c.npy"), 1)
    sent = pickle.dumps(dataset)
    assert len(sent) < 10_000 < 600 * 1000 * 2
    arrived = pickle.loads(sent)
    assert isinstance(arrived._corpus.signals, np.memmap)
    assert torch.equal(arrived[1, 599]["signals"], dataset[1, 599]["signals"])
    assert len(arrived) == 600


def test_a_corpus_in_memory_is_sent_too() -> None:
    corpus = Corpus(np.ones((2, 4), np.int16), np.zeros(2, np.int64), ("a",))
    assert torch.equal(
        pickle.loads(pickle.dumps(CorpusDataset(corpus)))[0]["signals"], CorpusDataset(corpus)[0]["signals"]
    )


def test_a_stored_corpus_is_opened_again_if_it_is_of_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "c.npy"
    written = stored(path, 7)
    opened = open_corpus(path, "k")
    assert opened is not None
    np.testing.assert_array_equal(opened.signals, written.signals)
    np.testing.assert_array_equal(opened.classes, written.classes)
    assert opened.names == written.names
    assert open_corpus(path, "other") is None


def test_a_corpus_that_was_not_finished_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "c.npy"
    stored(path, 7)

    def broken():
        yield "a", np.zeros(1000, np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(path, broken(), 7, 1000, key="k")
    assert open_corpus(path, "k") is None


def test_one_process_of_a_machine_writes_and_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, slept = tmp_path / "c.npy", []

    def written_meanwhile(seconds: float) -> None:
        slept.append(seconds)
        stored(path, 7)

    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("time.sleep", written_meanwhile)
    assert len(shared_corpus(path, "k", lambda: pytest.fail("both write")).classes) == 7
    assert len(slept) == 1


SECOND = """
import sys, time
from pathlib import Path
import numpy as np
from trainer.data.corpus import shared_corpus, write_corpus

path, started = Path(sys.argv[1]), Path(sys.argv[2])

def segments():
    for k in range(40):
        (started / f"{sys.argv[3]}").touch()
        time.sleep(0.02)
        yield "ab"[k % 2], np.full(100, 0.5, np.float32)

corpus = shared_corpus(path, "k", lambda: write_corpus(path, segments(), 40, 100, key="k"))
assert (np.asarray(corpus.signals) > 0).all(), "silence"
"""


def test_two_trainings_into_one_directory_do_not_empty_each_others_corpus(tmp_path: Path) -> None:
    """The second one truncated what the first had mapped, which then declared zeros whole."""
    (tmp_path / "started").mkdir()
    arguments = [str(tmp_path / "c.npy"), str(tmp_path / "started")]
    both = [subprocess.Popen([sys.executable, "-c", SECOND, *arguments, name]) for name in ("one", "two")]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert len(list((tmp_path / "started").iterdir())) == 1  # the other one waited
    assert (open_corpus(tmp_path / "c.npy", "k").signals > 0).all()


def test_no_room_for_the_corpus_is_told_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk, writing to a mapped file killed the process without a word (SIGBUS).

    To ask for all of it filled the disk for a moment, and whoever wrote then failed.
    """
    monkeypatch.setattr("os.posix_fallocate", lambda *_: pytest.fail("asked for more than there is"))
    with pytest.raises(StorageError, match="cannot be written"):
        write_corpus(tmp_path / "c.npy", [("a", np.zeros(1 << 20, np.float32))], 1 << 22, 1 << 20)
    assert not list(tmp_path.iterdir())
