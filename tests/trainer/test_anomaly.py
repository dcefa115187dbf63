"""Training end to end on a few seconds of synthetic sound; recipes; the bundle it leaves."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AudioError, ConfigError, UsageError
from edged.features.anomaly import AnomalySpec, clip_segments
from trainer.anomaly import AnomalyTrainingOptions, train_anomaly
from trainer.anomaly_corpus import Sources, build_corpus
from trainer.anomaly_recipe import AnomalyRecipe, load_recipe
from trainer.checkpoints import LAST_CHECKPOINT
from trainer.data.corpus import CorpusDataset, recorded_segments, synthetic_segments, write_corpus
from trainer.data.dcase import read_machine_tree
from trainer.recipe_files import recipe_names

TINY = AnomalyRecipe(max_epochs=1, batch_size=8, n_centres=2, synthetic_machines=1, noise_probability=0.5)


def write_clip(path: Path, seed: int, seconds: float = 3.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))
    sf.write(path, samples.astype(np.float32), 16_000)


def test_training_leaves_a_bundle_that_embeds(tmp_path: Path) -> None:
    for k in range(2):
        write_clip(tmp_path / "data" / "fan" / "train" / f"normal_id_0{k}_00000000.wav", k)
    write_clip(tmp_path / "noise" / "rain.wav", 9)
    options = AnomalyTrainingOptions(
        out=tmp_path / "bundle",
        recipe=TINY,
        run_directory=tmp_path / "run",
        sources=Sources(tmp_path / "data", tmp_path / "noise"),
        accelerator="cpu",
        progress=False,
        card="# card",
    )
    train_anomaly(options)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.manifest.parity["onnx_vs_torch_max_relative_error"] <= 1e-4
    assert bundle.manifest.training["classes"] == 6  # a machine healthy and with 3 faults, 2 recorded fans
    segments = clip_segments(np.ones(4_000, np.float32), AnomalySpec.model_validate(bundle.manifest.features))
    (embedding,) = OnnxEmbedder(bundle).embed(segments)
    assert {spec.name: embedding.vectors[spec.name].shape for spec in bundle.manifest.representations} == {
        spec.name: (spec.dim,) for spec in bundle.manifest.representations
    }
    assert (tmp_path / "run" / "last.ckpt").is_file()
    assert (tmp_path / "run" / "metrics.csv").is_file()


def test_nothing_to_train_on(tmp_path: Path) -> None:
    recipe = TINY.model_copy(update={"synthetic_machines": 0})
    with pytest.raises(UsageError, match="nothing to train on"):
        train_anomaly(AnomalyTrainingOptions(out=tmp_path / "b", recipe=recipe, run_directory=tmp_path / "r"))


def recorded(root: Path, n_machines: int = 2) -> Sources:
    """Machines with one recording each."""
    for k in range(n_machines):
        write_clip(root / "fan" / "train" / f"normal_id_0{k}_00000000.wav", k)
    return Sources(root)


RECORDED = AnomalyRecipe(segment_s=1.0)


def test_all_broken_recordings_are_named_at_once(tmp_path: Path) -> None:
    """The first one that could not be opened was named alone, the next after the next start."""
    sources = recorded(tmp_path / "data", 4)
    broken = sorted((tmp_path / "data").rglob("*.wav"))[:2]
    for path in broken:
        path.write_bytes(b"no sound")
    with pytest.raises(AudioError, match="2 of 4 recordings cannot be used") as refused:
        build_corpus(sources, RECORDED, [], tmp_path / "run")
    assert all(path.name in str(refused.value) for path in broken)


@pytest.mark.parametrize("segment_s", [4.0, 10.0, 12.0])
def test_synthetic_clips_fit_segments_of_any_length(segment_s: float, tmp_path: Path) -> None:
    """They are of 10 s, and stopped every recipe with other segments by a traceback."""
    recipe = AnomalyRecipe(segment_s=segment_s, synthetic_machines=1, synthetic_clips=(1, 0, 1))
    corpus = build_corpus(Sources(), recipe, [], tmp_path)
    assert corpus.signals.shape == (4, 16_000 * segment_s)


def test_a_run_does_not_go_on_with_other_recordings(tmp_path: Path) -> None:
    """It went on with the new ones as if they were the old, or stopped by a traceback where classes had been added."""
    sources = recorded(tmp_path / "data")
    build_corpus(sources, RECORDED, [], tmp_path / "run")
    recorded(tmp_path / "data", 3)
    build_corpus(sources, RECORDED, [], tmp_path / "run")  # nothing was learned yet
    (tmp_path / "run" / LAST_CHECKPOINT).write_bytes(b"x")
    build_corpus(sources, RECORDED, [], tmp_path / "run")
    noise = np.ones(100, np.float32)
    with pytest.raises(UsageError, match="recordings or noises have changed since this run began"):
        build_corpus(sources, RECORDED, [noise], tmp_path / "run")
    recorded(tmp_path / "data", 4)
    with pytest.raises(UsageError, match="recordings or noises have changed since this run began"):
        build_corpus(sources, RECORDED, [], tmp_path / "run")


def test_other_recordings_of_the_same_size_are_learned_anew(tmp_path: Path) -> None:
    """Names and sizes alone were compared, and clips of a set are equally long: the old ones were learned."""
    sources = recorded(tmp_path / "data")
    before = np.array(build_corpus(sources, RECORDED, [], tmp_path / "run").signals)
    for k, path in enumerate(sorted((tmp_path / "data").rglob("*.wav"))):
        write_clip(path, 50 + k)
    after = np.array(build_corpus(sources, RECORDED, [], tmp_path / "run").signals)
    assert before.shape == after.shape
    assert not np.array_equal(before, after)


def test_recordings_may_be_spelled_otherwise_or_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "data")
    build_corpus(Sources(tmp_path / "data"), RECORDED, [], tmp_path / "run")
    (tmp_path / "run" / LAST_CHECKPOINT).write_bytes(b"x")
    (tmp_path / "data").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    build_corpus(Sources(Path("moved")), RECORDED, [], tmp_path / "run")


def test_links_to_nowhere_and_pipes_are_named_with_the_others(tmp_path: Path) -> None:
    sources = recorded(tmp_path / "data", 4)
    broken = sorted((tmp_path / "data").rglob("*.wav"))[:2]
    broken[0].unlink()
    broken[0].symlink_to("/nowhere/x.wav")
    broken[1].unlink()
    os.mkfifo(broken[1])  # which waited for ever for whoever writes to it
    with pytest.raises(AudioError, match="2 of 4 recordings cannot be used") as refused:
        build_corpus(sources, RECORDED, [], tmp_path / "run")
    assert all(path.name in str(refused.value) for path in broken)


def test_recordings_that_train_nothing_are_not_passed_over(tmp_path: Path) -> None:
    """A folder of test clips was silently left out beside synthetic machines, as was a noise folder of silence."""
    write_clip(tmp_path / "data" / "fan" / "test" / "normal_id_00_00000000.wav", 0)
    with pytest.raises(UsageError, match="holds no normal training clips"):
        Sources(tmp_path / "data").require_any(TINY)
    (tmp_path / "noise").mkdir()
    sf.write(tmp_path / "noise" / "a.wav", np.zeros(1000, np.float32), 16_000)
    with pytest.raises(AudioError, match="nothing but silence"):
        Sources(noise=tmp_path / "noise").noises()


def test_shipped_recipes_are_valid() -> None:
    names = recipe_names("anomaly")
    assert names == ["anomaly", "anomaly-thesis"]
    assert load_recipe("anomaly-thesis").network == "dual-branch"
    assert load_recipe("anomaly", max_epochs=3).max_epochs == 3


def test_wrong_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe"):
        load_recipe("dream")
    (tmp_path / "r.yaml").write_text("colour: blue\n")
    with pytest.raises(ConfigError, match="colour"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_recordings_become_whole_segments(tmp_path: Path) -> None:
    write_clip(tmp_path / "fan" / "train" / "normal_id_00_00000000.wav", 0, seconds=2.5)
    write_clip(tmp_path / "fan" / "train" / "normal_id_00_00000001.wav", 1, seconds=0.4)
    write_clip(tmp_path / "fan" / "test" / "anomaly_id_00_00000000.wav", 2)
    segments = list(recorded_segments(read_machine_tree(tmp_path), 16_000, repeats=2))
    assert [len(samples) for _, samples in segments] == [16_000] * 6
    assert {label for label, _ in segments} == {"fan/00"}


def test_corpus_keeps_classes_and_samples(tmp_path: Path) -> None:
    segments = [("a", np.full(100, 0.5, np.float32)), ("b", np.zeros(100, np.float32))]
    corpus = write_corpus(tmp_path / "c.npy", segments, 5, 100)
    dataset = CorpusDataset(corpus)
    assert (len(dataset), corpus.names) == (2, ("a", "b"))
    np.testing.assert_allclose(dataset[0]["signals"], 0.5, atol=1e-4)
    assert dataset[1]["classes"] == 1


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="one class to train on, a"):
        write_corpus(tmp_path / "c.npy", [("a", np.zeros(10, np.float32))], 1, 10)


def test_one_class_trains_what_tells_nothing_apart(tmp_path: Path) -> None:
    """`--recipe table-5/compactness-none` refused a single machine."""
    one = [("fan", np.full(16, 0.1, np.float32))] * 2
    assert len(write_corpus(tmp_path / "c.npy", one, 2, 16, min_classes=1).names) == 1


def test_synthetic_classes_are_machines_and_their_states() -> None:
    labels = [label for label, _ in synthetic_segments(1, 5, [], clips_per_class=(1, 1, 1), n_faults=2)]
    assert labels[:2] == ["rotating-000/normal"] * 2
    assert len(set(labels)) == 3


def test_the_name_of_a_folder_above_excludes_nothing(tmp_path: Path) -> None:
    """`--exclude fan` left out every noise of a project called fan-hall."""
    folder = tmp_path / "fan-hall" / "noise"
    for seed, name in enumerate(("fan.wav", "rain.wav")):
        write_clip(folder / name, seed)
    assert len(Sources(noise=folder, exclude=("fan",)).noises()) == 1
