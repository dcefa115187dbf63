"""The command line of the trainer: parses, calls, reports, and fails with its exit codes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

import trainer.anomaly
from edged.embed.bundle import load_bundle
from edged.errors import UsageError
from trainer.anomaly import AnomalyTrainingOptions
from trainer.cli import app, main
from trainer.commands.options import bundle_place, card_text, run_directory

RUNNER = CliRunner()


def test_options_reach_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[AnomalyTrainingOptions] = []

    class Done:
        directory, label = tmp_path, "x"

    def remember(options: AnomalyTrainingOptions) -> Done:
        seen.append(options)
        return Done()

    monkeypatch.setattr(trainer.anomaly, "train_anomaly", remember)
    words = ["anomaly", "--out", str(tmp_path / "b"), "--epochs", "3", "--synthetic", "2", "--exclude", "fan_id_00"]
    assert RUNNER.invoke(app, words).exit_code == 0
    (options,) = seen
    assert (options.recipe.max_epochs, options.recipe.synthetic_machines) == (3, 2)
    assert options.sources.exclude == ("fan_id_00",)
    assert options.run_directory == tmp_path / "b.run" == run_directory(None, tmp_path / "b")


def test_a_stopped_run_can_be_exported(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32)
    for k in range(2):
        path = tmp_path / "data" / "fan" / "train" / f"normal_id_0{k}_00000000.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, noise[k], 16_000)
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text("max_epochs: 1\nbatch_size: 2\nn_centres: 2\nnetwork: log-mel\nsegment_s: 5.0\n")
    common = ["--recipe", str(recipe), "--run", str(tmp_path / "run")]
    words = ["anomaly", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "trained"), *common]
    trained = RUNNER.invoke(app, words)
    assert trained.exit_code == 0, trained.output
    words = ["export", "--out", str(tmp_path / "exported"), "--run", str(tmp_path / "run"), "--recipe", "keyword"]
    assert RUNNER.invoke(app, words).exit_code == 0  # the run has its own recipe, and another was believed
    bundles = [load_bundle(tmp_path / name).manifest for name in ("trained", "exported")]
    assert bundles[0].files["model.onnx"] == bundles[1].files["model.onnx"]
    assert bundles[0].training["recipe"] == bundles[1].training["recipe"]
    assert bundles[1].segment_samples == 5 * 16_000


@pytest.mark.parametrize("command", ["anomaly", "keyword", "export"])
def test_a_directory_of_other_files_is_not_replaced_by_a_bundle(tmp_path: Path, command: str) -> None:
    """Writing a bundle empties its directory: --out with a folder of recordings deleted them, after the training."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all I have")
    result = RUNNER.invoke(app, [command, "--out", str(tmp_path / "mine")])
    assert isinstance(result.exception, UsageError)
    assert "thesis.txt" in str(result.exception)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all I have"


def test_places_of_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "old").mkdir()
    for name in ("manifest.json", "model-fp16.onnx", "model-int8.onnx"):
        (tmp_path / "old" / name).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "old")
    for name in ("file", "link", "file/below"):
        with pytest.raises(UsageError, match=name.partition("/")[0]):
            bundle_place(tmp_path / name)
    for name in ("old", "new", "new/below"):
        assert bundle_place(tmp_path / name) == tmp_path / name
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run_directory(None, bundle_place(Path())) == tmp_path / "empty.run"


def test_cards_are_texts(tmp_path: Path) -> None:
    """A card that is not there, or no text, ended in a traceback."""
    (tmp_path / "card.bin").write_bytes(b"\xff\xfe")
    (tmp_path / "card.md").write_text("hänge es auf", encoding="utf-8")
    assert (card_text(None), card_text(tmp_path / "card.md")) == ("", "hänge es auf")
    for name in ("card.bin", "absent"):
        with pytest.raises(UsageError, match=name):
            card_text(tmp_path / name)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["anomaly", "--out", "b", "--recipe", "dream"], 78, "no recipe 'dream'"),
        (["anomaly", "--out", "b", "--synthetic", "0"], 2, "nothing to train on"),
        (["export", "--out", "b", "--run", "absent"], 2, "no last.ckpt"),
    ],
)
def test_mistakes_are_explained(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["edged-train", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_table_of_which_no_row_can_run_is_a_failure(tmp_path: Path) -> None:
    """A value out of bounds failed every row with exit code 0."""
    for name in "abc":
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(2):
            sf.write(tmp_path / "data" / name / f"{k}.wav", np.zeros(1600, np.float32), 16_000)
    words = ["reproduce", "29", "--data", str(tmp_path / "data"), "--run", str(tmp_path / "run"), "--row", "low-1"]
    result = RUNNER.invoke(app, [*words, "--set", "shots=0"])
    assert result.exit_code == 1
    assert "shots: " in result.stdout
