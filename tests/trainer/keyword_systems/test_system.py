"""Systems from end to end on a few synthetic words, and their table."""

import numpy as np
import pytest

from tests.fakes.sounds import sentence, word
from trainer.evaluate.spotting import Spoken
from trainer.keyword_systems.embedder import Shots, training_set
from trainer.keyword_systems.recipe import SystemRecipe
from trainer.keyword_systems.system import SPEC, Draw, front_end_frames, run_system
from trainer.keyword_systems.table import append_record, markdown, read_records, record_of
from trainer.recipe_files import load_table

WORDS = ("milk", "sugar")


@pytest.fixture(scope="module")
def draw() -> Draw:
    clips = {name: [word(name, seed) for seed in range(2)] for name in WORDS}
    audio, spoken = {}, {}
    for index in range(4):
        samples, truth = sentence(["milk", "lemon", "sugar"][: 3 - index % 2], seed=10 + index)
        audio[f"{index}"] = samples
        spoken[f"{index}"] = [Spoken(*event) for event in truth if event[0] in WORDS]
    noise = (0.01 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    shots = Shots(
        {n: [front_end_frames(c) for c in cs] for n, cs in clips.items()}, [front_end_frames(noise)], SPEC.silence
    )
    frames = {name: front_end_frames(samples) for name, samples in audio.items()}
    parts = [{n: spoken[n] for n in names} for names in (("0", "1"), ("2", "3"))]
    return Draw(clips, audio, frames, shots, *parts)


def test_hfcc_finds_the_words(draw, tmp_path) -> None:
    result = run_system(SystemRecipe(features="hfcc"), draw, 0, tmp_path)
    assert result.figures["global", "test"].f1 == 1.0
    assert set(result.figures) == {(k, p) for k in ("global", "individual") for p in ("validation", "test")}


@pytest.mark.parametrize("features", ["temporal", "sliding"])
def test_embedders_are_trained_and_judged(draw, tmp_path, features) -> None:
    recipe = SystemRecipe(
        features=features, reversed_segments=True, width=2, steps=3, batch_size=8, n_centres=2, inference_step_frames=8
    )
    result = run_system(recipe, draw, 0, tmp_path)
    assert result.training_s > 0.0
    assert sum(vars(result.figures["global", "test"]).values()) >= len(draw.test)


def test_reversed_segments_almost_double_the_classes(draw) -> None:
    classes = [
        training_set(SystemRecipe(features="temporal", reversed_segments=turned), draw.shots, 0)[1]
        for turned in (False, True)
    ]
    assert classes == [3, 5]


def test_table_31_stands_beside_the_thesis(draw, tmp_path) -> None:
    results = tmp_path / "results.jsonl"
    assert read_records(results) == []
    result = run_system(SystemRecipe(features="hfcc"), draw, 0, tmp_path)
    for seed in range(2):
        append_record(results, record_of("hfcc", seed, result))
    lines = markdown(load_table("31"), read_records(results)).splitlines()
    assert len(lines) == 4
    assert "100.0 ± 0.0" in lines[2]
    assert "57.0" in lines[2]
    assert "individual" in lines[3]


def test_all_rows_of_table_31_are_recipes() -> None:
    rows = load_table("31").rows
    assert len(rows) == 7
    for row in rows:
        SystemRecipe(**row.recipe)
        assert len(row.thesis) == 12
        for kind in ("validation global", "test global", "validation individual", "test individual"):
            f1, precision, recall = (row.thesis[f"{kind} {figure}"][0] for figure in ("f1", "precision", "recall"))
            assert f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=0.02)
