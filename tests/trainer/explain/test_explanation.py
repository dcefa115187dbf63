"""Explanations end to end: what was put into a clip is what they name; files; the command."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import typer
from typer.testing import CliRunner

import trainer.explain.importance
from edged.errors import EnrolmentError, UsageError
from tests.trainer.explain.tiny import sound, tiny_bundle, write_sound
from trainer.commands.explain import explain
from trainer.explain.bundle_scorer import FittedBundle, fit_bundle
from trainer.explain.explanation import explain_clip, summary
from trainer.explain.files import write_explanation
from trainer.files import StorageError

APP = typer.Typer()
APP.command()(explain)
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FittedBundle:
    return fit_bundle(tiny_bundle(tmp_path_factory.mktemp("bundle") / "b"), [sound(k) for k in range(6)])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, normal clips and one with a tone in its second half."""
    place = tmp_path_factory.mktemp("work")
    tiny_bundle(place / "bundle")
    for k in range(4):
        write_sound(place / "normal" / f"{k}.wav", sound(k))
    write_sound(place / "alarm.wav", sound(9, tone=(0.5, 1.0)))
    return place


def words(place: Path, out: Path, *clips: Path, masks: int = 300) -> list[str]:
    places = ["--bundle", str(place / "bundle"), "--normal", str(place / "normal"), "--out", str(out)]
    return [*map(str, clips), *places, "--masks", str(masks)]


def test_an_inserted_tone_is_found_in_frequency_and_time(fitted: FittedBundle) -> None:
    found = explain_clip(fitted, sound(9, tone=(0.5, 1.0)), n_masks=2000)
    facts = summary(found)
    assert facts["band"]["from_hz"] < 2000.0 < facts["band"]["to_hz"]
    assert abs(facts["map"]["hz"] - 2000.0) < 300.0
    assert facts["map"]["time_s"] > 0.45
    assert facts["map"]["reliability"] > 0.8
    assert facts["map"]["importance"] > 3.0 * facts["map"]["standard_error"]
    assert sum(facts["segment"]["parts"].values()) == pytest.approx(facts["segment"]["score"], rel=1e-12)


def test_the_strangest_segment_is_explained(fitted: FittedBundle) -> None:
    clip = sound(9, seconds=4.0, tone=(2.6, 3.0))
    facts = summary(explain_clip(fitted, clip, n_masks=400))
    assert facts["segment"]["start_s"] < 2.6 < facts["segment"]["end_s"]
    assert facts["segment"]["score"] > facts["score"]
    assert 2.4 < facts["map"]["time_s"] < 3.2


def test_a_short_clip_is_repeated_as_the_product_does(fitted: FittedBundle) -> None:
    found = explain_clip(fitted, sound(9, seconds=0.2), n_masks=8)
    assert (found.start_s, found.end_s) == (0.0, 1.0)
    assert found.levels_db.shape == (30, 32)


def test_the_same_seed_gives_the_same_explanation(fitted: FittedBundle) -> None:
    first, again = (summary(explain_clip(fitted, sound(9), n_masks=16, seed=5)) for _ in range(2))
    assert first == again


def test_without_a_network_the_bands_explain_it_all(tmp_path: Path) -> None:
    fitted = fit_bundle(tiny_bundle(tmp_path / "b", None), [sound(k) for k in range(6)])
    found = explain_clip(fitted, sound(9, tone=(0.0, 1.0)), n_masks=16)
    facts = write_explanation(tmp_path, "x", Path("x.wav"), found)
    assert facts["map"] is None
    assert facts["band"]["from_hz"] < 2000.0 < facts["band"]["to_hz"]
    assert "map" not in np.load(tmp_path / "x.npz", allow_pickle=False)


def test_files_hold_what_the_summary_says(fitted: FittedBundle, tmp_path: Path) -> None:
    facts = write_explanation(tmp_path, "x", Path("x.wav"), explain_clip(fitted, sound(9), n_masks=16))
    assert json.loads((tmp_path / "x.json").read_text()) == facts
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.npz", "x.png"]
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        assert stored["map"].shape == (len(stored["times_s"]), len(stored["frequencies_hz"])) == (30, 32)
        assert stored["part_scores"].sum() == pytest.approx(float(stored["segment_score"]))
        assert set(stored) >= {"band_contributions/quiet", "band_contributions/network", "map_standard_error"}
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_a_full_disk_leaves_nothing_half_written(
    fitted: FittedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been written before the disk was full stayed as hidden files."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    found = explain_clip(fitted, sound(9), n_masks=2)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_explanation(tmp_path, "x", Path("x.wav"), found)
    assert not list(tmp_path.iterdir())


def test_a_name_is_not_taken_for_a_formula(fitted: FittedBundle, tmp_path: Path) -> None:
    """matplotlib reads dollar signs as mathematics, and fails where it is none."""
    write_explanation(tmp_path, "x", Path("a $\\nonsense{$.wav"), explain_clip(fitted, sound(9), n_masks=2))
    assert (tmp_path / "x.png").is_file()


def test_one_mask_still_gives_valid_json(fitted: FittedBundle, tmp_path: Path) -> None:
    facts = write_explanation(tmp_path, "x", Path("x.wav"), explain_clip(fitted, sound(9), n_masks=1))
    assert facts["map"]["split_half_correlation"] is None


def test_the_command_explains_clips_and_prints_json(workplace: Path, tmp_path: Path) -> None:
    other = write_sound(tmp_path / "alarm.wav", sound(3, seconds=0.5))
    result = RUNNER.invoke(APP, [*words(workplace, tmp_path / "out", workplace / "alarm.wav", other), "--json"])
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert first["band"]["from_hz"] < 2000.0 < first["band"]["to_hz"]
    assert first["score"] > second["score"]
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [f"alarm{n}.{kind}" for n in ("-2", "") for kind in ("json", "npz", "png")]
    assert "alarm above" in result.stderr


def test_ctrl_c_writes_the_map_so_far_and_stops(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(range(3))
    random_masks = trainer.explain.importance.random_masks

    def interrupted(*arguments):
        if next(drawn, None) is None:
            raise KeyboardInterrupt
        return random_masks(*arguments)

    monkeypatch.setattr(trainer.explain.importance, "random_masks", interrupted)
    clip = workplace / "alarm.wav"
    result = RUNNER.invoke(APP, [*words(workplace, tmp_path, clip, clip, masks=5000), "--json"])
    assert result.exit_code != 0
    (facts,) = json.loads(result.stdout)
    assert (facts["map"]["masks"], facts["map"]["was_interrupted"]) == (96, True)
    assert (tmp_path / "alarm.png").is_file()
    assert "take more masks" in result.stderr or facts["map"]["reliability"] >= 0.8


def test_an_unreadable_clip_does_not_keep_the_others_from_being_explained(workplace: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    not_numbers = tmp_path / "nan.wav"
    sf.write(not_numbers, np.full(4000, np.nan, np.float32), 16_000, subtype="FLOAT")
    clips = (tmp_path / "bad.wav", not_numbers, workplace / "alarm.wav")
    result = RUNNER.invoke(APP, words(workplace, tmp_path / "out", *clips, masks=2))
    assert result.exit_code == 1
    assert "bad.wav: not readable as audio" in result.stderr
    assert "nan.wav: holds samples that are not numbers" in result.stderr
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["alarm.png"]


def test_mistakes_are_explained(workplace: Path, tmp_path: Path) -> None:
    clip = workplace / "alarm.wav"
    empty = tmp_path / "empty"
    empty.mkdir()
    alone = tmp_path / "alone"
    for name in ("a.wav", "copy.wav"):
        write_sound(alone / name, sound(1))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "x.wav").write_bytes(b"RIFF")
    cases = [
        (["--normal", str(empty)], EnrolmentError, "holds no audio files"),
        (["--normal", str(alone)], EnrolmentError, "1 normal clips are too few"),
        (["--normal", str(broken)], EnrolmentError, "x.wav"),
        (["--out", str(clip)], UsageError, "alarm.wav"),
    ]
    for changed, kind, said in cases:
        result = RUNNER.invoke(APP, [*words(workplace, tmp_path / "out", clip, masks=2), *changed])
        assert isinstance(result.exception, kind), result.exception
        assert said in str(result.exception)
    with pytest.raises(EnrolmentError, match="no such file"):
        RUNNER.invoke(APP, words(workplace, tmp_path / "out", tmp_path / "absent.wav"), catch_exceptions=False)


def test_a_real_fan_s_fault_is_explained(data_dir: Path) -> None:
    from edged.capture.files import read_clip
    from edged.embed.bundle import load_bundle

    fan = data_dir / "machines" / "mimii_fan_id00"
    if not fan.is_dir():
        pytest.skip(f"no recordings at {fan}")
    bundle = load_bundle(Path(__file__).parents[3] / "edged" / "bundles" / "anomaly")
    fitted = fit_bundle(bundle, [read_clip(p) for p in sorted((fan / "normal").glob("*.flac"))[:6]])
    found = explain_clip(fitted, read_clip(fan / "abnormal" / "00000002.flac"), n_masks=64)
    assert found.importance is not None
    assert found.importance.importance.shape == (311, 128)
    assert found.segment_score > 1.0
    assert summary(found)["band"]["contribution"] > 0.0
