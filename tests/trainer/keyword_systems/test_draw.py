"""Draws: parts without a common speaker, KWS-DailyTalk as it is published."""

import numpy as np
import pytest
import soundfile as sf

from edged.errors import AudioError
from trainer.keyword_systems.draw import PART_TABLES, TRAIN_TABLE, dailytalk_draw, make_draw, two_parts

HEADER = "idx,event_label,event_onset,event_offset,file,scene_label\n"


def test_no_speaker_is_in_both_parts() -> None:
    spoken = {f"s{speaker}_{take}.flac": [] for speaker in range(9) for take in range(7)}
    first, second = two_parts(spoken, seed=0, n_each=20)
    assert len(first) == len(second) == 20
    assert not {n[:2] for n in first} & {n[:2] for n in second}


@pytest.fixture
def published(tmp_path):
    """Tables, DailyTalk's audio and background as they would lie on a disk."""
    for folder in ("tables", "data/1", "noise"):
        (tmp_path / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("0_0_d1", "1_0_d1", "2_0_d1", "3_0_d1"):
        sf.write(tmp_path / "data" / "1" / f"{name}.wav", 0.1 * rng.standard_normal(22_050), 22_050)
    sf.write(tmp_path / "noise" / "n.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    line = "1,{word},0.2,0.6,.\\dailytalk\\data\\1\\{name}.wav,1\n"
    tables = tmp_path / "tables"
    (tables / TRAIN_TABLE).write_text(HEADER + line.format(word="visa", name="0_0_d1"))
    for (table, listed), name in zip(PART_TABLES, ("1_0_d1", "2_0_d1"), strict=True):
        (tables / table).write_text(HEADER + line.format(word="visa", name=name))
        (tables / listed).write_text(f".\\ref\\{name}.txt,x\n")
    (tables / PART_TABLES[1][1]).write_text(".\\ref\\2_0_d1.txt,x\n.\\ref\\3_0_d1.txt,x\n")
    return tmp_path


def test_kws_dailytalk(published) -> None:
    draw = dailytalk_draw(published / "tables", published / "data", published / "noise")
    assert {word: [len(c) for c in clips] for word, clips in draw.clips.items()} == {"visa": [6400]}
    assert [s.word for s in draw.validation["1_0_d1"]] == ["visa"]
    assert {name: len(truth) for name, truth in draw.test.items()} == {"2_0_d1": 1, "3_0_d1": 0}
    assert all(len(draw.frames[name]) == 63 for name in draw.audio)


def test_a_listed_sentence_without_audio_is_named(published) -> None:
    (published / "data" / "1" / "3_0_d1.wav").unlink()
    with pytest.raises(AudioError, match="no audio of 3_0_d1"):
        dailytalk_draw(published / "tables", published / "data", published / "noise")


def test_a_folder_without_the_sentences_is_refused(tmp_path) -> None:
    """It ended in a traceback."""
    with pytest.raises(AudioError, match=r"speech/wuw2/truth\.json"):
        make_draw(tmp_path, 0)


def test_the_data_pack_gives_fifteen_words_and_two_parts(data_dir) -> None:
    draw = make_draw(data_dir, 0, n_telephone=3, n_orders=2)
    assert {len(clips) for clips in draw.clips.values()} == {5}
    assert len(draw.clips) == 15
    assert len(draw.validation) == len(draw.test) == 5
    assert set(draw.audio) == set(draw.validation) | set(draw.test)
