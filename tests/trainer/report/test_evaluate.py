"""From recordings to the page by the command, with a bundle of statistics alone."""

import csv
import json
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import typer
from typer.testing import CliRunner

from edged.embed.bundle import RepresentationSpec, load_bundle
from edged.errors import UsageError
from edged.features.anomaly import AnomalySpec
from trainer.anomaly_bundle import write_anomaly_bundle
from trainer.commands.evaluate import evaluate
from trainer.data.clips import read_recording
from trainer.data.machine_clip import MachineClip
from trainer.data.recordings import read_machine_data
from trainer.evaluate.bundle import SectionScores, run_bundle
from trainer.files import StorageError
from trainer.report.evaluate import evaluate_bundle, evaluation_of
from trainer.report.evaluation import Evaluation
from trainer.report.score_files import write_scores
from trainer.report.summary import summarise, summary_fields
from trainer.report.tables import listed_rows

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = AnomalySpec(segment_samples=16_000, hop_samples=8_192, n_mels=8, inputs=(), statistics={"quiet": ("p5",)})
    params = {"standardise": False}
    representations = [RepresentationSpec(name="quiet", source="features", dim=8, backend="shrinkage", params=params)]
    return write_anomaly_bundle(tmp_path_factory.mktemp("b") / "small", spec, representations, version="1").directory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pump in the MIMII layout: 6 normal clips, 3 that whistle; and a fan whose test clips nobody labelled."""
    root = tmp_path_factory.mktemp("data")
    names = [f"pump/id_00/normal/{k:08d}.wav" for k in range(6)]
    names += [f"pump/id_00/abnormal/{k:08d}.wav" for k in range(3)]
    names += [f"fan/train/section_01_source_train_normal_{k:04d}.wav" for k in range(3)]
    names += [f"fan/test/section_01_{k:04d}.wav" for k in range(2)]
    time_s = np.arange(16_000) / 16_000
    for k, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        whistle = 0.1 * ("abnormal" in name) * np.sin(2 * np.pi * 2000 * time_s)
        sf.write(root / name, 0.05 * np.random.default_rng(k).standard_normal(16_000) + whistle, 16_000)
    return root


def test_from_recordings_to_page_figures_and_score_files(tmp_path, bundle, data):
    app = typer.Typer()
    app.command()(evaluate)
    out = ["--out", tmp_path / "deep/r.html", "--scores", tmp_path / "s"]
    words = ["--bundle", bundle, "--data", data, *out, "--json"]
    result = RUNNER.invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    fields = json.loads(result.stdout)
    (system,) = fields["systems"].values()
    assert system["sections"]["pump/00"]["figures"]["auc"]["value"] == 1.0
    assert system["sections"]["pump/00"]["normal_clips"] == 6
    assert any("folds of neighbours" in note for note in fields["notes"])
    assert fields["listed"]["fan/01"]["clips"] == 2
    text = (tmp_path / "deep/r.html").read_text(encoding="utf-8")
    assert text.count("log spectrogram") == 9 == text.count("data:image/png")
    assert not list(tmp_path.rglob(".*"))
    evaluate_bundle(bundle, data, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text
    with (tmp_path / "s/anomaly_score_fan_section_01_test.csv").open() as handle:
        rows = {name: float(score) for name, score in csv.reader(handle)}
    assert rows == fields["listed"]["fan/01"]["scores"]
    assert sorted(path.name for path in (tmp_path / "s").iterdir())[1] == "anomaly_score_pump_section_00_test.csv"


def test_a_place_that_is_a_directory_is_refused_before_the_work(tmp_path, bundle):
    with pytest.raises(UsageError, match="is a directory"):
        evaluate_bundle(bundle, Path("/nowhere"), tmp_path)


@pytest.mark.parametrize("places", [{"out": "file/r.html"}, {"out": "r.html", "scores": "file"}])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, bundle, places):
    """Regression: it was noticed when all recordings had been listened to."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file: no files can be written there"):
        evaluate_bundle(bundle, Path("/nowhere"), **{name: tmp_path / place for name, place in places.items()})


def test_score_files_have_plain_names_and_keep_the_clips_names(tmp_path):
    def scores(machine):
        clip = MachineClip(Path("d/b,\udce9.wav"), machine, "00", "source", "test", "unknown")
        return SectionScores(machine, "00", np.array([0.1]), (clip,), np.empty(0))

    (path,) = write_scores(tmp_path, [scores("../f n")])
    assert path == tmp_path / "anomaly_score_.._f_n_section_00_test.csv"
    assert path.read_bytes() == b'"b,\xe9.wav",0.1\n'
    with pytest.raises(UsageError, match="two sections"):
        write_scores(tmp_path, [scores("a b"), scores("a_b")])


def test_files_that_share_a_name_are_told_apart(tmp_path):
    """Regression: `a/1.wav` and `b/1.wav` were one entry of the JSON, and two lines alike of the score file."""
    clips = [
        MachineClip(Path(name), "fan", "00", "source", "test", "unknown") for name in ("a/1.wav", "b/1.wav", "2.wav")
    ]
    section = SectionScores("fan", "00", np.array([0.1, 0.2, 0.3]), tuple(clips), np.empty(0))
    evaluation = Evaluation(title="t", systems={}, listed=[section])
    (listed,) = summary_fields(evaluation, summarise(evaluation))["listed"].values()
    assert listed["scores"] == {"a/1.wav": 0.1, "b/1.wav": 0.2, "2.wav": 0.3}
    (path,) = write_scores(tmp_path, [section])
    assert path.read_text().splitlines() == ["a/1.wav,0.1", "b/1.wav,0.2", "2.wav,0.3"]
    assert [name for name, _ in listed_rows([section])[0]["clips"]] == ["2.wav", "b/1.wav", "a/1.wav"]


def test_recordings_of_the_worst_errors_are_read_one_at_a_time(bundle, data, monkeypatch):
    """Regression: all of them were held at once, each of up to an hour."""
    alive = []

    def read(path):
        assert not any(held() is not None for held in alive)
        samples = read_recording(path)
        alive.append(weakref.ref(samples))
        return samples

    loaded = load_bundle(bundle)
    run = run_bundle(loaded, read_machine_data(data))
    monkeypatch.setattr("trainer.report.evaluate.read_recording", read)
    assert set(evaluation_of(loaded, data, run).durations_s.values()) == {1.0}
    assert len(alive) == 9


def test_help_names_both_uses():
    app = typer.Typer()
    app.command()(evaluate)
    shown = RUNNER.invoke(app, ["--help"]).output
    assert shown.count("edged-train evaluate --bundle") == 2


def test_the_command_starts_without_the_heavy_libraries():
    """`edged-train --help` must not wait for plots and t-SNE."""
    code = "import sys, trainer.commands.evaluate; print({'sklearn', 'matplotlib', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_real_fan(tmp_path, data_dir):
    """The recordings of the data pack, with the shipped bundle: good, and told apart by loudness alone."""
    folder = data_dir / "machines" / "mimii_fan_id00"
    shipped = Path(__file__).resolve().parents[3] / "edged" / "bundles" / "anomaly"
    found = evaluate_bundle(shipped, folder, tmp_path / "r.html")
    (system,) = found.fields["systems"].values()
    (section,) = system["sections"].values()
    assert section["figures"]["auc"]["value"] > 0.85
    assert section["level_auc"] == 1.0
    assert found.fields["warnings"][0].startswith("Loudness alone")
