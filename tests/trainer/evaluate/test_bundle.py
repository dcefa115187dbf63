"""A bundle over recordings: the scores are those of the daemon, folds leave out, and what cannot be judged is said."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml
from hypothesis import given
from hypothesis import strategies as st

import trainer.evaluate.bundle
from edged.embed.bundle import Bundle, RepresentationSpec
from edged.errors import AudioError, BundleError, UsageError
from edged.features.anomaly import AnomalySpec
from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from trainer.anomaly_bundle import write_anomaly_bundle
from trainer.data.recordings import read_machine_data
from trainer.evaluate.bundle import fit_section, neighbour_folds, run_bundle
from trainer.evaluate.hearing import hear_all

SPEC = AnomalySpec(
    segment_samples=16_000, hop_samples=8_192, n_mels=8, inputs=(), statistics={"quiet": ("p5",), "mean": ("mean",)}
)
REPRESENTATIONS = (
    RepresentationSpec(
        name="quiet", source="features", dim=8, backend="shrinkage", params={"standardise": False}, weight=2.0
    ),
    RepresentationSpec(name="mean", source="features", dim=8, backend="density", params={"n_neighbours": 1}),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_anomaly_bundle(tmp_path_factory.mktemp("b") / "small", SPEC, REPRESENTATIONS, version="1")


def write_clip(path: Path, seed: int, tone: float = 0.0, seconds: float = 1.6, pitch_hz: float = 1500.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng, time_s = np.random.default_rng(seed), np.arange(int(16_000 * seconds)) / 16_000
    samples = 0.05 * rng.standard_normal(len(time_s)) + tone * np.sin(2 * np.pi * pitch_hz * time_s)
    sf.write(path, samples.astype(np.float32), 16_000, subtype="FLOAT")


def write_dcase(root: Path, n_train: int = 6, n_test: int = 3) -> None:
    """A fan in two domains: the target hums, the anomalies whistle."""
    for domain, hum in (("source", 0.0), ("target", 0.03)):
        for k in range(n_train):
            write_clip(root / f"fan/train/section_00_{domain}_train_normal_{k:04d}.wav", k, hum, pitch_hz=200.0)
        for k in range(n_test):
            write_clip(root / f"fan/test/section_00_{domain}_test_normal_{k:04d}.wav", 50 + k, hum, pitch_hz=200.0)
            write_clip(root / f"fan/test/section_00_{domain}_test_anomaly_{k:04d}.wav", 70 + k, 0.1)


def write_mimii(root: Path, n_normal: int, n_abnormal: int) -> None:
    for k in range(n_normal):
        write_clip(root / f"pump/id_02/normal/{k:08d}.wav", k)
    for k in range(n_abnormal):
        write_clip(root / f"pump/id_02/abnormal/{k:08d}.wav", 60 + k, 0.1)


def test_clips_are_scored_as_by_the_daemon(tmp_path, bundle, edged):  # noqa: F811
    write_dcase(tmp_path / "data")
    run = run_bundle(bundle, read_machine_data(tmp_path / "data"))
    (section,) = run.judged
    stream = {"device": "d", "monitors": {"anomaly": {"bundle": str(bundle.directory)}}}
    config = {"devices": {"d": {"source": "pcm"}}, "streams": {"fan": stream}}
    (tmp_path / "edged.yaml").write_text(yaml.safe_dump(config))
    common = ["--config", tmp_path / "edged.yaml", "--state", tmp_path / "state", "--stream", "fan"]
    for domain in ("source", "target"):
        clips = sorted((tmp_path / "data/fan/train").glob(f"section_00_{domain}_*"))
        assert edged("enroll", *common, "--domain", domain, *clips).code == 0
    daemon = edged("score", *common, "--clip", "--jsonl", *section.paths)
    assert {json.loads(line)["file"]: json.loads(line)["score"] for line in daemon.out.splitlines()} == pytest.approx(
        {str(path): float(score) for path, score in zip(section.paths, section.scores, strict=True)}, rel=1e-6
    )


def test_sections_hold_what_the_names_say(tmp_path, bundle):
    write_dcase(tmp_path)
    run = run_bundle(bundle, read_machine_data(tmp_path))
    (section,) = run.judged
    assert section.name == "fan/00"
    assert section.anomalous.min() > section.normal.max()
    for path, is_anomalous, domain in zip(section.paths, section.is_anomalous, section.domains, strict=True):
        assert is_anomalous == ("anomaly" in path.name)
        assert domain in path.name
    assert set(run.levels_dbfs) == set(section.paths)
    assert run.embeddings.vectors.shape == (12, 8)
    assert run.embeddings.representation == "quiet"
    assert run.notes == ()


def test_normal_scores_are_means_over_each_left_out_clip(tmp_path, bundle):
    write_dcase(tmp_path)
    clips = read_machine_data(tmp_path)
    (section,) = run_bundle(bundle, clips).judged
    heard = hear_all(bundle, [clip for clip in clips if clip.for_training])
    scorer = fit_section(list(heard.values()), REPRESENTATIONS)
    by_clip = scorer.normal_scores.reshape(12, 3)  # 1.6 s: segments at 0, 0.512 and 0.6 s
    np.testing.assert_allclose(np.sort(section.normal_scores), np.sort(by_clip.mean(axis=1)))


def test_without_normal_test_clips_every_clip_is_judged_by_others(tmp_path, bundle):
    write_mimii(tmp_path, n_normal=7, n_abnormal=2)
    run = run_bundle(bundle, read_machine_data(tmp_path))
    (section,) = run.judged
    assert (len(section.normal), len(section.anomalous), len(section.normal_scores)) == (7, 2, 7)
    assert "5 folds of neighbours" in run.notes[0]
    heard = list(hear_all(bundle, read_machine_data(tmp_path)).values())
    normal = [h for h in heard if h.clip.for_training]
    rest = fit_section(normal[2:], REPRESENTATIONS)  # 7 clips in 5 folds: the first holds clips 0 and 1
    expected = [rest.scores(h.vectors).mean() for h in normal[:2]]
    np.testing.assert_allclose(section.normal[:2], expected)
    folds = [[0, 1], [2], [3, 4], [5], [6]]
    scorers = [fit_section([normal[k] for k in range(7) if k not in fold], REPRESENTATIONS) for fold in folds]
    broken = next(h for h in heard if h.clip.path == section.paths[-1])
    assert section.scores[-1] == pytest.approx(np.mean([s.scores(broken.vectors).mean() for s in scorers]))


@given(st.lists(st.sampled_from(["source", "target", "night"]), min_size=2, max_size=40), st.integers(2, 7))
def test_no_fold_leaves_out_everything(domains, n_folds):
    folds = neighbour_folds(domains, n_folds)
    assert folds.min() >= 0
    assert folds.max() < min(n_folds, len(domains))
    assert all((folds != fold).any() for fold in set(folds.tolist()))
    for domain in set(domains):
        own = folds[[d == domain for d in domains]]
        assert (np.diff(own) != 0).sum() == len(set(own.tolist())) - 1  # runs of neighbours


def test_neighbours_are_counted_and_not_spelled():
    key = trainer.evaluate.bundle._natural
    names = [Path(f"a/{name}.wav") for name in ("10", "9", "1b", "1a")]
    assert [path.stem for path in sorted(names, key=key)] == ["1a", "1b", "9", "10"]


def test_unlabelled_clips_are_listed(tmp_path, bundle):
    for k in range(4):
        write_clip(tmp_path / f"fan/train/section_00_source_train_normal_{k:04d}.wav", k)
        write_clip(tmp_path / f"fan/test/section_00_{k:04d}.wav", 10 + k, 0.1 * (k == 3))
    run = run_bundle(bundle, read_machine_data(tmp_path))
    assert run.judged == []
    (listed,) = run.listed
    assert len(listed.scores) == 4
    assert listed.scores.argmax() == 3


def test_a_single_normal_clip_is_enrolled_and_not_judged(tmp_path, bundle):
    write_mimii(tmp_path, n_normal=1, n_abnormal=2)
    run = run_bundle(bundle, read_machine_data(tmp_path))
    (listed,) = run.listed
    assert [clip.condition for clip in listed.clips] == ["anomaly", "anomaly"]
    assert len(listed.normal_scores) == 0


def test_sections_without_anything_to_enrol_are_passed_over(tmp_path, bundle):
    write_mimii(tmp_path / "whole", n_normal=3, n_abnormal=1)
    write_clip(tmp_path / "whole/pump/id_04/abnormal/00000000.wav", 3)
    run = run_bundle(bundle, read_machine_data(tmp_path / "whole"))
    assert [section.name for section in run.sections] == ["pump/02"]
    assert any(note.startswith("pump/04: no normal training clips") for note in run.notes)
    write_mimii(tmp_path / "only", n_normal=0, n_abnormal=2)
    with pytest.raises(UsageError, match="none of 1 sections has normal training clips"):
        run_bundle(bundle, read_machine_data(tmp_path / "only"))
    write_mimii(tmp_path / "one", n_normal=1, n_abnormal=0)
    with pytest.raises(UsageError, match="no test clips"):
        run_bundle(bundle, read_machine_data(tmp_path / "one"))


def test_what_is_not_judged_is_said(tmp_path, bundle):
    """Regression: anomalies in the training split, and sections of one clip, vanished without a word."""
    for split, condition, n in (("train", "normal", 3), ("train", "anomaly", 1), ("test", "normal", 1)):
        for k in range(n):
            write_clip(tmp_path / f"fan/{split}/{condition}/{condition}{k}.wav", k + 10 * len(split))
    write_clip(tmp_path / "pump/train/normal/lonely.wav", 3)
    run = run_bundle(bundle, read_machine_data(tmp_path))
    assert [section.name for section in run.sections] == ["fan/00"]
    assert [clip.path.name for clip in run.sections[0].clips] == ["normal0.wav"]
    assert any(note.startswith("anomaly0.wav: in the training split and not normal") for note in run.notes)
    assert any(note.startswith("pump/00: a single normal clip") for note in run.notes)


def test_damaged_clips_and_scores_are_named(tmp_path, bundle, monkeypatch):
    write_mimii(tmp_path, n_normal=3, n_abnormal=1)
    monkeypatch.setattr(trainer.evaluate.bundle, "clip_scores", lambda _, clips: np.full(len(clips), np.nan))
    with pytest.raises(BundleError, match=r"00000000\.wav: its anomaly score is nan"):
        run_bundle(bundle, read_machine_data(tmp_path))
    for number in (1, 2):
        sf.write(tmp_path / f"pump/id_02/normal/0000000{number}.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    message = r"2 of 4 .*00000001\.wav: holds samples that are not numbers; .*00000002\.wav"
    with pytest.raises(AudioError, match=message):  # one by one, each after a start of its own
        run_bundle(bundle, read_machine_data(tmp_path))


def test_silent_clips_are_not_enrolled_and_are_named(tmp_path, bundle):
    """One of them among the references halved the partial AUC, and nothing said so."""
    write_dcase(tmp_path)
    before = run_bundle(bundle, read_machine_data(tmp_path))
    sf.write(tmp_path / "fan/train/section_00_source_train_normal_0099.wav", np.zeros(16_000), 16_000)
    after = run_bundle(bundle, read_machine_data(tmp_path))
    np.testing.assert_array_equal(before.judged[0].scores, after.judged[0].scores)
    assert any("normal_0099.wav: without sound; not enrolled" in note for note in after.notes)
    for path in (tmp_path / "fan/train").iterdir():
        sf.write(path, np.zeros(16_000), 16_000)
    with pytest.raises(UsageError, match="normal training clips to enrol"):
        run_bundle(bundle, read_machine_data(tmp_path))


def test_keyword_bundles_are_sent_elsewhere(tmp_path, bundle):
    manifest = bundle.manifest.model_copy(update={"kind": "keyword"})
    keyword = Bundle(tmp_path, manifest, "0", {})
    with pytest.raises(UsageError, match=r"tests/bench/keywords\.py"):
        run_bundle(keyword, [])
