"""A keyword embedder that learns from another: the pairs, the loss, and `edged-train keyword` with such a recipe."""

import contextlib
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edged.errors import ConfigError, EdgedError, UsageError
from edged.features.keyword import KeywordSpec
from tests.trainer.test_keyword import NEEDS_SPEECH, check_bundle, options_of
from trainer.data.speech_corpus import Material, clean_scene, read_material
from trainer.data.speech_pairs import PairCrops, frames_of, load_pair_shards, write_pair_shard
from trainer.data.speech_scene import NoiseRange, Scene, degraded, degraded_and_clean
from trainer.keyword import export_general, train_keyword
from trainer.keyword_recipe import DistilledRecipe, load_recipe
from trainer.losses.teacher import TeacherObjective
from trainer.models.speech_trunk import SpeechTrunk

SPEC = KeywordSpec()
AHEAD = SPEC.model_copy(update={"level_ahead_frames": 6})
TINY = DistilledRecipe(
    shards=1, scenes_per_shard=3, max_epochs=2, batches_per_epoch=3, batch_size=2, crop_frames=64, background_s=3.0,
    snr_db=(0.0, 5.0), noisy_share=1.0,
)  # fmt: skip


def tone(n_samples=32_000):
    return (0.1 * np.sin(np.arange(n_samples) * 0.2 + 0.1)).astype(np.float32)


def test_both_states_are_silent_where_one_was_cut():
    """What was cut away cannot be heard; it must not be asked for."""
    scene = Scene(tone(), [(5, 0.0, 2.0)])
    n_cut = 0
    for seed in range(40):
        heard, clean = degraded_and_clean(np.random.default_rng(seed), scene, [], NoiseRange())
        again = degraded(np.random.default_rng(seed), scene, [], NoiseRange())
        np.testing.assert_array_equal(heard.samples, again.samples)
        is_cut = np.mean(clean.samples == 0.0) > 0.1
        n_cut += is_cut
        if is_cut:
            np.testing.assert_array_equal(heard.samples[clean.samples == 0.0], 0.0)
    assert 2 < n_cut < 20


def test_rows_are_the_teacher_s_of_the_clean_scene_and_of_silence_where_nobody_speaks(tmp_path):
    asked = []

    def teacher(frames):
        asked.append(frames)
        return np.repeat(frames.mean(axis=1, keepdims=True), 4, axis=1)

    rng = np.random.default_rng(3)
    material = Material([], {}, {"tone": lambda rng, text: None}, recorded_share=0.0)  # noqa: ARG005
    scenes = iter([Scene(tone(), [(5, 0.0, 2.0)]), Scene(tone(16_000), [(0, 0.0, 1.0)])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.data.speech_pairs.clean_scene", lambda _rng, _material: next(scenes))
        write_pair_shard(tmp_path / "0.npz", rng, material, SPEC, 2, teacher=teacher, teacher_spec=AHEAD)
    (shard,) = load_pair_shards([tmp_path / "0.npz"])
    spoken, silent = len(frames_of(tone(), AHEAD)), len(frames_of(tone(16_000), AHEAD))
    assert len(shard["frames"]) == len(shard["rows"]) == spoken + silent
    (clean,) = asked
    assert np.median(clean[:spoken].max(axis=1)) > 0.5
    np.testing.assert_allclose(clean[spoken:], SPEC.silence)
    np.testing.assert_allclose(shard["rows"][:, 0], clean.mean(axis=1), atol=2e-3)


def test_crops_hold_the_rows_of_their_middle():
    index = np.arange(300, dtype=np.float16)[:, None]
    crops = PairCrops([{"frames": index, "rows": index}], 64, 5, context=(22, 10), key=(0,))
    for n in range(len(crops)):
        crop = crops[0, n]
        torch.testing.assert_close(crop["rows"], crop["frames"][22:-10])
    with pytest.raises(ConfigError, match="holds no crop of 301"):
        PairCrops([{"frames": index, "rows": index}], 301, 5, context=(22, 10), key=(0,))


def test_a_network_that_hears_like_its_teacher_has_nothing_to_learn(monkeypatch):
    monkeypatch.setattr("trainer.losses.teacher.jitter_level", lambda frames, _silence: frames)
    monkeypatch.setattr("trainer.losses.teacher.mask_spectrogram", lambda frames, _silence: frames)
    network, objective = SpeechTrunk(width=8, dim=4), TeacherObjective(SPEC.silence)
    frames = torch.rand((2, 64, 64))
    with torch.no_grad():
        rows = network.eval()(frames)
    statistics = [buffer.clone() for buffer in network.buffers()]
    network.train()
    losses = [objective(network, {"frames": frames, "rows": target})["loss"].item() for target in (rows, -rows)]
    assert losses == pytest.approx([0.0, 2.0], abs=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(statistics, network.buffers(), strict=True))


@pytest.mark.parametrize("changed", [{"recorded_share": 0.1}, {"teacher_level_ahead_frames": 2}])
def test_pairs_of_an_interrupted_start_are_kept_only_if_made_alike(tmp_path, monkeypatch, changed):
    """Rows of another teacher were taken for this one's."""
    made = []

    def write(path, *_, **__):
        made.append(path.name)
        np.savez(path, frames=np.zeros((100, SPEC.n_mels), np.float16), rows=np.zeros((100, 64), np.float16))
        if len(made) in {1, 3}:
            raise InterruptedError

    stand_ins = {
        "noisy_material": lambda *_: Material([], {}, {}),
        "_sample": lambda *_: None,
        "started_network": lambda *_: SpeechTrunk(width=8),
        "write_pair_shard": write,
        "CorpusRun.fit": lambda *_, **__: None,
        "CorpusRun.bundle": lambda *_: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(f"trainer.keyword_distil.{name}", stand_in)
    recipe = TINY.model_copy(update={"shards": 2})
    for again in (recipe, recipe, recipe.model_copy(update=changed)):
        with contextlib.suppress(InterruptedError, EdgedError):
            train_keyword(options_of(tmp_path, again, start_from="keyword"))
    assert made == ["0000.npz", "0001.npz", "0000.npz"]


@NEEDS_SPEECH
def test_a_bundle_teaches_its_own_network(tmp_path):
    options = options_of(tmp_path, TINY, start_from="keyword")
    bundle = train_keyword(options)
    check_bundle(bundle.directory)
    with (tmp_path / "run" / "distilled" / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]
    assert len(losses) == 2
    assert all(0.0 < loss < 1.0 for loss in losses)
    again = export_general(replace(options, out=tmp_path / "again", start_from=None))
    assert again.manifest.files["model.onnx"] == bundle.manifest.files["model.onnx"]
    further = replace(options, start_from=bundle.directory, teacher=Path("keyword"), run_directory=tmp_path / "further")
    assert "teacher" in further.config()
    assert check_bundle(train_keyword(replace(further, out=tmp_path / "further-bundle")).directory)


def test_only_a_distilled_embedder_has_a_teacher(tmp_path):
    with pytest.raises(UsageError, match="--teacher"):
        train_keyword(options_of(tmp_path, load_recipe("keyword"), teacher=Path("keyword")))


def test_without_a_bundle_there_is_no_teacher(tmp_path):
    with pytest.raises(UsageError, match="--start-from"):
        train_keyword(options_of(tmp_path, TINY))


@NEEDS_SPEECH
def test_clean_scenes_are_of_the_kinds_that_degraded_ones_are():
    material = read_material(None)
    scenes = [clean_scene(np.random.default_rng(seed), material) for seed in range(4)]
    assert all(np.isfinite(scene.samples).all() and scene.phones for scene in scenes)


def test_the_recipe():
    recipe = load_recipe("keyword-distilled", max_epochs=3)
    assert isinstance(recipe, DistilledRecipe)
    assert recipe.max_epochs == 3


@pytest.mark.parametrize("wrong", [(np.nan, 5.0), (-np.inf, 5.0), (5.0, 1e308), (10.0, 0.0)])
def test_a_range_of_noise_is_one(wrong):
    """A number that is none ended in numpy, after the noises were made."""
    with pytest.raises(ConfigError, match="snr_db"):
        load_recipe("keyword-distilled", snr_db=wrong)
