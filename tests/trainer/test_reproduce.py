"""A table from data to figures: trained once, judged by every back end, rows that cannot run say why."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from edged.errors import AudioError, ConfigError, UsageError
from edged.features.anomaly import AnomalySpec, clip_segments
from trainer.anomaly_recipe import parse_recipe
from trainer.cli import app
from trainer.data.machine_clip import MachineClip
from trainer.data.recordings import read_machine_data
from trainer.evaluate.judged import JudgedSection
from trainer.experiment import EMBEDDED, Embedded, Experiment, stream_segments, training_key
from trainer.interruption import TrainingStopped
from trainer.judging import Judge
from trainer.recipe_files import load_table, table_names
from trainer.reproduce import AnomalyRows, markdown, reproduce, summed, threshold_f1
from trainer.reproduction import KINDS, parse_changes, run_table

SMALL = {"network": "spectrum", "segment_s": 1.0, "max_epochs": 1, "batch_size": 4, "n_centres": 2, "branch_dim": 16}


def tone_tree(root: Path) -> Path:
    """Three machines that hum at a pitch of their own; broken ones hum a little higher and rattle."""
    for machine, pitch_hz in enumerate((400.0, 900.0, 1500.0)):
        for split, condition, n in (("train", "normal", 4), ("test", "normal", 3), ("test", "anomaly", 3)):
            for number in range(n):
                rng = np.random.default_rng((machine, number, len(split), len(condition)))
                pitch = pitch_hz * (1.0 if condition == "normal" else 1.4)
                time_s = np.arange(16_000) / 16_000
                samples = 0.2 * np.sin(2 * np.pi * pitch * time_s) + 0.02 * rng.standard_normal(16_000)
                name = f"section_00_source_{split}_{condition}_{number:04d}.wav"
                path = root / f"machine{machine}" / split / name
                path.parent.mkdir(parents=True, exist_ok=True)
                sf.write(path, samples.astype(np.float32), 16_000)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tone_tree(tmp_path_factory.mktemp("tones"))


def test_rows_share_a_training_and_results_are_kept(data: Path, tmp_path: Path) -> None:
    experiment = Experiment(tuple(read_machine_data(data)), tmp_path, accelerator="cpu")
    rows = ["softmax", "plda", "cosine-to-mean", "gaussian-full", "lof"]
    table = load_table("6")
    results = reproduce(table, AnomalyRows(table, experiment, [0, 1]), tmp_path, SMALL, only=rows)
    assert [result.name for result in results] == rows
    assert not any(result.failure for result in results)
    assert all(0.0 <= value <= 1.0 for result in results for value in result.figures["auc"])
    assert results[2].figures["auc"][0] > 0.9  # another pitch is easy
    assert len(list(tmp_path.glob(f"*/{EMBEDDED}"))) == 2  # one per seed, not per back end
    stored = json.loads((tmp_path / "table-6.results.json").read_text())
    assert [row["name"] for row in stored["rows"]] == rows
    text = markdown(table, results)
    assert "thesis: dev auc" in text
    assert "88.7" in text


def test_thresholds_take_left_out_normal_scores(data: Path, tmp_path: Path) -> None:
    results = run_table(
        load_table("10"),
        data,
        tmp_path,
        seeds=[0],
        rows=["sd", "sd-x2", "optimum"],
        changes=["network=temporal-mean", "segment_s=1.0"],
    )
    figures = {result.name: result.figures["f1"][0] for result in results}
    assert figures["optimum"] >= max(figures["sd"], figures["sd-x2"])


def test_a_row_that_cannot_run_says_why(data: Path, tmp_path: Path) -> None:
    experiment = Experiment(tuple(read_machine_data(data)), tmp_path, accelerator="cpu")
    run_row, changes = AnomalyRows(load_table("25"), experiment, [0]), SMALL | {"classes": "none"}
    (result,) = reproduce(load_table("25"), run_row, tmp_path, changes, only=["adacos"])
    assert "1 classes are too few" in result.failure
    assert result.failure in markdown(load_table("25"), [result])


def test_what_cannot_be_judged_is_not_trained_first(data: Path, tmp_path: Path, monkeypatch) -> None:
    """Hours of training ended in "no section has both normal and anomalous test clips"."""
    clips = tuple(clip for clip in read_machine_data(data) if (clip.split, clip.condition) != ("test", "normal"))
    monkeypatch.setattr(Experiment, "embedded", lambda *_: pytest.fail("trained"))
    with pytest.raises(AudioError, match="no section has normal training clips and both"):
        reproduce(load_table("5"), AnomalyRows(load_table("5"), Experiment(clips, tmp_path), [0]), tmp_path, {})


def test_what_cannot_be_asked_for(data: Path, tmp_path: Path) -> None:
    experiment = Experiment(tuple(read_machine_data(data)), tmp_path)
    with pytest.raises(ConfigError, match="no row dream"):
        reproduce(load_table("5"), AnomalyRows(load_table("5"), experiment, [0]), tmp_path, {}, only=["dream"])
    with pytest.raises(UsageError, match="no data"):
        run_table(load_table("5"), None, tmp_path, seeds=[0])
    with pytest.raises(ConfigError, match="name=value"):
        parse_changes(["epochs"])
    with pytest.raises(ConfigError, match=r"a=\[1: not a YAML value"):
        parse_changes(["a=[1"])


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("9", "max_epoch=1", "did you mean 'max_epochs'"),
        ("29", "shot=1", "did you mean 'shots'"),
        ("31", "step=1", "did you mean 'steps'"),
        ("25", "noise_probability=0.5", "no such field"),
        ("25", "synthetic_machines=9", "no such field"),
    ],
)
def test_changes_that_change_nothing_are_refused_at_once(table: str, change: str, message: str, tmp_path: Path) -> None:
    """A slip of the pen failed in every row, with success as exit code; fields without effect were taken in silence."""
    with pytest.raises(ConfigError, match=message):
        run_table(load_table(table), tmp_path, tmp_path / "run", seeds=[0], changes=[change])


def test_a_row_without_its_domain_does_not_stop_the_others(data: Path, tmp_path: Path) -> None:
    """Table 19 ended at its second row on recordings without a target domain."""
    changes = ["network=temporal-mean", "segment_s=1.0"]
    names = ["gmm-target", "gmm-joint"]
    target, joint = run_table(load_table("19"), data, tmp_path, seeds=[0], rows=names, changes=changes)
    assert "no reference is of the target domain" in target.failure
    assert joint.figures["auc"]


@pytest.mark.parametrize(
    ("table", "row", "changes"),
    [
        ("6", "softmax", {"loss": "adaproj"}),
        ("6", "softmax", {"loss": "cxe"}),
        ("6", "softmax", {"combine": "after-training", "network": "compact"}),
        ("9", "autoencoder", {"network": "compact"}),
        ("9", "learned", {"network": "autoencoder"}),
    ],
)
def test_a_back_end_that_does_not_fit_says_so(table: str, row: str, changes: dict, data: Path, tmp_path: Path) -> None:
    """Changed rows took bases for centres, the first value of an embedding for an error, or ended in a traceback."""
    experiment = Experiment(tuple(read_machine_data(data)), tmp_path, accelerator="cpu")
    run_row = AnomalyRows(load_table(table), experiment, [0])
    (result,) = reproduce(load_table(table), run_row, tmp_path, SMALL | changes, only=[row])
    assert result.failure.startswith("back end ")
    assert not list(tmp_path.glob("*/*.ckpt"))


def test_results_are_json_for_every_reader(data: Path, tmp_path: Path) -> None:
    """Deviations that the thesis does not print were NaN, which is no JSON."""
    changes, words = ["segment_s=1.0"], {"seeds": [0], "rows": ["temporal-mean"]}
    run_table(load_table("9"), data, tmp_path, changes=changes, **words)
    stored = json.loads((tmp_path / "table-9.results.json").read_text(), parse_constant=pytest.fail)
    assert stored["rows"][0]["thesis"]["dev auc"] == [80.91, None]


def test_embeddings_are_found_again(data: Path, tmp_path: Path) -> None:
    clips = tuple(read_machine_data(data))
    recipe = parse_recipe("mine", SMALL | {"network": "temporal-mean"})
    first = Experiment(clips, tmp_path).embedded(recipe, 0)
    again = Experiment(clips, tmp_path).embedded(recipe, 0)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert training_key(recipe, 0) != training_key(recipe, 1)
    assert training_key(recipe, 0) == training_key(recipe.model_copy(update={"embedding_weight": 2.0}), 0)


@pytest.mark.parametrize("change", ["content", "order"])
def test_systems_of_other_recordings_are_not_taken_for_ones_own(data: Path, tmp_path: Path, change: str) -> None:
    """A run directory that was used again for other recordings of the same names judged the new by the old."""
    clips, recipe = tuple(read_machine_data(data)), parse_recipe("mine", SMALL | {"network": "temporal-mean"})
    Experiment(clips, tmp_path / "run").embedded(recipe, 0)
    if change == "content":
        path = tmp_path / "again" / clips[-1].path.name
        path.parent.mkdir()
        sf.write(path, np.zeros(16_000, np.float32), 16_000)
        clips = (*clips[:-1], replace(clips[-1], path=path))
    else:
        clips = clips[::-1]
    with pytest.raises(UsageError, match="other recordings; name another directory"):
        Experiment(clips, tmp_path / "run").embedded(recipe, 0)


def test_recordings_may_move(data: Path, tmp_path: Path) -> None:
    recipe = parse_recipe("mine", SMALL | {"network": "temporal-mean"})
    Experiment(tuple(read_machine_data(data)), tmp_path / "run").embedded(recipe, 0)
    shutil.copytree(data, tmp_path / "moved")
    Experiment(tuple(read_machine_data(tmp_path / "moved")), tmp_path / "run").embedded(recipe, 0)


def test_a_stopped_comparison_names_the_command_that_goes_on(data: Path, tmp_path: Path, monkeypatch) -> None:
    """It named --resume, which `reproduce` does not have."""

    def stopped(*_: object, **__: object) -> None:
        raise TrainingStopped(tmp_path, 2)

    monkeypatch.setattr("trainer.experiment.fit", stopped)
    experiment = Experiment(tuple(read_machine_data(data)), tmp_path, accelerator="cpu")
    with pytest.raises(TrainingStopped) as refused:
        experiment.embedded(parse_recipe("mine", SMALL), 0)
    assert str(refused.value).endswith("the same command goes on from there")
    assert refused.value.exit_code == 130


def test_what_is_neither_trained_on_nor_judged_is_not_read(data: Path, tmp_path: Path) -> None:
    clips = tuple(read_machine_data(data))
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"not audio")
    clips = (replace(clips[0], path=noise, split="supplemental", condition="unknown"), *clips)
    recipe = parse_recipe("mine", SMALL | {"network": "temporal-mean"})
    assert 0 not in Experiment(clips, tmp_path / "run").embedded(recipe, 0).clips


@pytest.mark.parametrize("n_samples", [9_000, 16_000, 16_001, 40_000, 57_344])
def test_segments_are_those_of_the_stream(n_samples: int) -> None:
    spec = AnomalySpec(segment_samples=16_000, hop_samples=8_192, inputs=("spectrum",), statistics={})
    samples = np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32)
    streamed = [(s.sample_start, s.sample_end) for s in clip_segments(samples, spec)]
    ours = stream_segments(samples, spec)
    assert len(ours) == len(streamed)
    for segment, (start, end) in zip(ours, streamed, strict=True):
        np.testing.assert_array_equal(segment, np.resize(samples[start:end], 16_000))


def test_sections_without_test_clips_are_left_out() -> None:
    clip = MachineClip(Path("a.wav"), "fan", "00", "source", "train", "normal")
    embedded = Embedded(np.ones((1, 2), np.float32), np.zeros(1, np.int64), np.empty((0, 1, 1), np.float32), 1.0, ())
    with pytest.raises(AudioError, match="no section"):
        Judge([clip], embedded, {"name": "cosine-to-mean"}).sections()


def section(scores: list[float]) -> JudgedSection:
    return JudgedSection(
        "fan",
        "00",
        scores=np.array(scores),
        is_anomalous=np.array([False, False, True, True]),
        domains=("source",) * 4,
        paths=tuple(Path(f"{i}.wav") for i in range(4)),
        normal_scores=np.array([0.0, 1.0, 2.0, 3.0]),
    )


def test_an_ensemble_is_the_sum_of_its_systems() -> None:
    (both,) = summed([[section([0.0, 2.0, 4.0, 6.0])], [section([1.0, 2.0, 4.0, 6.0])]])
    np.testing.assert_allclose(both.scores, [1.0, 4.0, 8.0, 12.0])


def test_f1_of_a_threshold() -> None:
    one = section([0.0, 2.0, 2.5, 9.0])
    assert threshold_f1(one, "optimum") == 1.0
    assert threshold_f1(replace(one, normal_scores=np.array([3.0, 3.0])), "sd") == pytest.approx(2 / 3)
    assert threshold_f1(replace(one, scores=np.array([2.0, 3.0, 1.0, 1.0])), "optimum") == pytest.approx(2 / 3)
    apart = np.array([14.0, 11.0, 10.0, 6.0, 15.0, 7.0, 8.0, 19.0, 7.0, 6.0, 16.0, 14.0])
    labels = np.arange(12) >= 6  # equally good thresholds on either side of a worse one, in whose middle it looked
    assert threshold_f1(replace(one, scores=apart, is_anomalous=labels), "optimum") == pytest.approx(2 / 3)
    with pytest.raises(ConfigError, match="no threshold method 'magic'"):
        threshold_f1(one, "magic")


def test_every_table_has_something_that_runs_it() -> None:
    assert {load_table(name).kind for name in table_names()} <= set(KINDS)
    listed = CliRunner().invoke(app, ["reproduce", "list"]).output
    assert all(f"{name}: " in listed for name in table_names())


def test_the_command_prints_ours_beside_the_thesis(data: Path, tmp_path: Path) -> None:
    words = ["reproduce", "9", "--data", str(data), "--run", str(tmp_path), "--seeds", "1"]
    words += ["--row", "temporal-mean", "--set", "segment_s=1.0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "80.9" in result.output  # the thesis's AUC of the temporal mean
    rows = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert rows[0]["figures"]["auc"][0] > 0.9
