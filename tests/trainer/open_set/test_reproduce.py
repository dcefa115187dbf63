"""A row of Table 29 end to end on sounds made here, and the table's file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml

from edged.errors import ConfigError, UsageError
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.models.compact import CompactDualBranch
from trainer.models.dual_branch import DualBranch
from trainer.open_set import reproduce as module
from trainer.open_set.clips import read_class_tree
from trainer.open_set.direct import (
    SoundObjective,
    build_network,
    directly_trained,
    embed,
    network_spec,
    turned_round,
)
from trainer.open_set.folds import few_shot_folds
from trainer.open_set.recipe import OpenSetRecipe, open_set_recipe
from trainer.open_set.reproduce import reproduce_open_set
from trainer.open_set.roles import assign_roles

TABLE = Path(module.__file__).parents[1] / "recipes" / "tables" / "table-29.yaml"
PITCHES_HZ = {"low": 220.0, "middle": 700.0, "high": 1900.0, "whistle": 4500.0}
TINY = {"segment_s": 1.0, "network": "small", "n_folds": 1, "non_targets": ["whistle"], "epochs_per_shot": 3}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of one pitch per class in noise."""
    root = tmp_path_factory.mktemp("sounds")
    time_s = np.arange(16_000) / 16_000
    for name, pitch_hz in PITCHES_HZ.items():
        (root / name).mkdir()
        for k in range(5):
            rng = np.random.default_rng((k, int(pitch_hz)))
            tone = np.sin(2 * np.pi * pitch_hz * rng.uniform(0.98, 1.02) * time_s)
            samples = 0.2 * tone + 0.02 * rng.standard_normal(16_000)
            sf.write(root / name / f"{k}.wav", samples.astype(np.float32), 16_000)
    return root


class Spectrum:
    """Band energies as an encoder."""

    label, dim = "spectrum", 32

    def vectors(self, clip: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(clip.reshape(2, -1))) ** 2
        bands = [chunk.mean(axis=1) for chunk in np.array_split(power, 32, axis=1)]
        return np.log(np.stack(bands, axis=1) + 1e-3).astype(np.float32)


def test_every_system_gives_figures_per_seed(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_encoder", lambda _: Spectrum())
    recipe = {**TINY, "openness": "middle", "shots": 2, "encoders": ["spectrum"]}
    figures = reproduce_open_set(sounds, recipe, [0, 1], tmp_path)
    systems = ("directly trained", "shallow classifier, spectrum", "nearest neighbour")
    assert {name for name in figures if ":" not in name} == set(systems)
    for name in systems:
        assert len(figures[name]) == 2
        assert figures[name] == figures[f"{name}: weighted_accuracy"]
        assert all(0.0 <= value <= 1.0 for value in figures[f"{name}: top_1_eer"])
    assert min(figures["nearest neighbour: known_accuracy"]) > 0.85
    assert (tmp_path / "middle-2" / "0-0" / "direct" / "last.ckpt").is_file()


def test_the_shallow_classifier_solves_an_easy_set(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_encoder", lambda _: Spectrum())
    recipe = {
        **TINY,
        "openness": "low",
        "shots": 2,
        "encoders": ["easy"],
        "systems": ["shallow classifier"],
        "epochs_per_shot": 50,
    }
    figures = reproduce_open_set(sounds, recipe, [0], tmp_path)
    assert figures["shallow classifier, easy"][0] > 0.75
    assert figures["shallow classifier, easy: known_accuracy"][0] > 0.85


def test_direct_training_tells_tones_apart(sounds: Path, tmp_path: Path) -> None:
    recipe = {**TINY, "openness": "low", "shots": 2, "systems": ["directly trained"], "epochs_per_shot": 20}
    figures = reproduce_open_set(sounds, recipe, [0], tmp_path)
    assert figures["directly trained"][0] > 0.9
    assert figures["directly trained: top_1_auc"][0] > 0.9


def test_all_folds_are_run_when_none_are_left_out(sounds: Path, tmp_path: Path) -> None:
    """The figure of a seed is the mean over its folds."""
    recipe = {**TINY, "systems": ["nearest neighbour"], "shots": 1}
    one = reproduce_open_set(sounds, {**recipe, "n_folds": 1}, [0], tmp_path)
    every = reproduce_open_set(sounds, {**recipe, "n_folds": 0}, [0], tmp_path)
    trials = module._trials(tuple(read_class_tree(sounds)), open_set_recipe({**recipe, "n_folds": 0}), tmp_path, 0)
    assert len(trials) == 5
    mean = np.mean([module.judge_trial(trial)["nearest neighbour"] for trial in trials])
    assert every["nearest neighbour"][0] == pytest.approx(mean)
    assert one["nearest neighbour"][0] == pytest.approx(module.judge_trial(trials[0])["nearest neighbour"])


def test_direct_training_uses_the_recipes_epochs_and_batches(sounds: Path, tmp_path: Path) -> None:
    recipe = OpenSetRecipe(segment_s=1.0, network="small", shots=2, epochs_per_shot=2, batch_per_shot=2)
    roles = assign_roles(PITCHES_HZ, "low", 0, non_targets=("whistle",))
    fold = few_shot_folds(read_class_tree(sounds), roles, 2, 0)[0]
    embedded = directly_trained(fold, recipe, tmp_path, seed=0)
    assert embedded.anchors.shape == (4, 256)
    assert embedded.test.shape == (12, 256)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (state["epoch"] + 1, state["global_step"]) == (4, 4 * 2)
    assert state["state_dict"]["objective.loss.centres"].shape == (4, 1, 256)


def test_two_classes_are_too_few_to_train_directly(sounds: Path, tmp_path: Path) -> None:
    """The loss refused its two centres with a traceback."""
    recipe = {**TINY, "non_targets": ["whistle", "low"], "openness": "high", "systems": ["directly trained"]}
    with pytest.raises(UsageError, match="2 classes to tell apart"):
        reproduce_open_set(sounds, recipe, [0], tmp_path)


def test_signals_are_turned_round_each_by_its_own() -> None:
    torch.manual_seed(0)
    signals = torch.arange(50.0).repeat(8, 1)
    turned = turned_round(signals)
    for row in turned:
        assert torch.equal(row.roll(-int(row.argmin())), signals[0])
    assert len({int(row[0]) for row in turned}) > 4


def test_loudness_gives_nothing_away(sounds: Path, tmp_path: Path) -> None:
    """Embedding a clip and its quiet copy: the same vector."""
    recipe = OpenSetRecipe(segment_s=1.0, network="small")
    spec = network_spec(recipe)
    torch.manual_seed(0)
    network = build_network(recipe, spec).eval()
    loud = read_class_tree(sounds)[0]
    samples, _ = sf.read(loud.path, dtype="float32")
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        sf.write(tmp_path / name / "0.wav", samples * (1.0 if name == "x" else 0.25), 16_000, subtype="FLOAT")
    one, quiet = embed(network, spec, read_class_tree(tmp_path))
    np.testing.assert_allclose(one, quiet, rtol=0.02, atol=0.02 * np.abs(one).max())


@pytest.mark.parametrize(("name", "kind"), [("dual-branch", DualBranch), ("compact", CompactDualBranch)])
def test_networks_fit_the_segment(name: str, kind: type) -> None:
    """4 s as in the thesis's data: loss and gradient through the whole network."""
    recipe = OpenSetRecipe(network=name, segment_s=4.0)
    spec = network_spec(recipe)
    network = build_network(recipe, spec)
    assert isinstance(network, kind)
    objective = SoundObjective(spec, SubclusterAdaCos(3, 1, network.dim), 3, 1.0)
    batch = {"signals": torch.randn(2, spec.segment_samples), "classes": torch.tensor([0, 2])}
    objective(network, batch)["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters() if p.requires_grad)


def test_thresholds_and_schedule_of_the_thesis() -> None:
    for level, cosine in (("low", 0.6), ("middle", 0.65), ("high", 0.75)):
        assert OpenSetRecipe(openness=level).max_distance == pytest.approx(1.0 - cosine)
    assert OpenSetRecipe(threshold=0.1).max_distance == pytest.approx(0.9)
    recipe = OpenSetRecipe(shots=4)
    assert (recipe.epochs, recipe.batch_size, recipe.network) == (400, 32, "dual-branch")


def test_fields_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match="shotss"):
        open_set_recipe({"shotss": 1})


def test_the_table_has_a_recipe_for_every_row_of_table_29() -> None:
    table = yaml.safe_load(TABLE.read_text())
    assert table["kind"] == "open-set"
    rows = [(row, open_set_recipe({**table["base"], **row["recipe"]})) for row in table["rows"]]
    assert [(recipe.openness, recipe.shots) for _, recipe in rows] == [
        (level, shots) for level in ("low", "middle", "high") for shots in (1, 2, 4)
    ]
    assert [row["name"] for row, _ in rows] == [f"{r.openness}-{r.shots}" for _, r in rows]
    means = {"VGGish": 91.3, "OpenL3": 96.9, "PANN": 95.7, "Kumar": 97.5, "directly trained": 97.9}
    for system, printed in means.items():
        assert np.mean([row["thesis"][system][0] for row, _ in rows]) == pytest.approx(printed, abs=0.06)
