"""KWS-DailyTalk: its tables as they are published, other names for their columns, and what is wrong with a line."""

import numpy as np
import pytest
import soundfile as sf

from edged.errors import AudioError
from trainer.data.dailytalk import (
    find_sentences,
    keyword_clips,
    read_annotations,
    read_sentences,
    recordings_of,
    sentence_of,
)
from trainer.evaluate.sound_events import Event

HEADER = "idx,event_label,event_onset,event_offset,file,scene_label\n"
TABLE = (
    HEADER
    + "1,visa,1.13,1.41,.\\dailytalk\\data\\1251\\5_1_d1251.wav,1251\n"
    + "2,credit card,0.5,2,.\\dailytalk\\data\\1251\\5_1_d1251.wav,1251\n"
    + "3,cash,0.05,0.44,.\\dailytalk\\data\\903\\2_0_d903.wav,903\n"
)


def written(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_published_table(tmp_path) -> None:
    recordings = recordings_of(read_annotations(written(tmp_path, TABLE)))
    assert recordings == {
        "5_1_d1251": [Event("credit card", 0.5, 2.0), Event("visa", 1.13, 1.41)],
        "2_0_d903": [Event("cash", 0.05, 0.44)],
    }


def test_listed_sentences_without_a_word_hold_none(tmp_path) -> None:
    """Only the lists name those: without them false alarms there would not count."""
    listed = (
        ".\\ref\\test\\2_0_d903.txt,.\\res\\test\\2_0_d903.txt\n.\\ref\\test\\7_1_d5.txt,.\\res\\test\\7_1_d5.txt\n"
    )
    sentences = read_sentences(written(tmp_path, listed, "list.csv"))
    recordings = recordings_of(read_annotations(written(tmp_path, TABLE)), sentences)
    assert sentences == ["2_0_d903", "7_1_d5"]
    assert recordings["7_1_d5"] == []
    assert len(recordings) == 3


@pytest.mark.parametrize(
    "header", ["file,keyword,onset_s,offset_s", "FILE,Keyword,Onset,Offset", "filename;label;start_s;end_s"]
)
def test_other_names_of_columns(tmp_path, header) -> None:
    separator = ";" if ";" in header else ","
    text = f"\ufeff{header}\n" + separator.join(["data/1/0_1_d1.wav", "milk", "0.25", "0.75"]) + "\n"
    (annotation,) = read_annotations(written(tmp_path, text))
    assert (annotation.sentence, annotation.event) == ("0_1_d1", Event("milk", 0.25, 0.75))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2,milk,1.0,0.5,a.wav,1", "line 3: 'milk' ends at 0.5 s"),
        ("2,milk,soon,0.5,a.wav,1", "line 3: 'soon' in event_onset"),
        ("2,milk,nan,0.5,a.wav,1", "line 3: 'nan' in event_onset"),
        ("2,milk,0.1,1e9,a.wav,1", "line 3: '1e9' in event_offset"),
        ("2,,0.1,0.5,a.wav,1", "line 3: no keyword"),
        ("2,milk,0.1,0.5,,1", "line 3: no file"),
        ("2,milk", "line 3: '' in event_onset"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, problem) -> None:
    path = written(tmp_path, HEADER + "1,milk,0.1,0.5,a.wav,1\n" + line + "\n")
    with pytest.raises(AudioError, match=problem) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


def test_a_table_without_a_column_and_a_list_without_a_line(tmp_path) -> None:
    with pytest.raises(AudioError, match=r"line 1: no column event_offset.*found: idx"):
        read_annotations(written(tmp_path, "idx,event_label,event_onset,file\n"))
    with pytest.raises(AudioError, match="lists no sentences"):
        read_sentences(written(tmp_path, "\n\n"))
    with pytest.raises(AudioError):
        read_sentences(tmp_path / "missing.csv")


def test_words_are_cut_out_of_their_sentences(tmp_path) -> None:
    (tmp_path / "data" / "1251").mkdir(parents=True)
    ramp = np.linspace(0, 0.9, 2 * 22_050)
    sf.write(tmp_path / "data" / "1251" / "5_1_d1251.wav", ramp, 22_050)
    audio = find_sentences(tmp_path)
    annotations = read_annotations(written(tmp_path, TABLE))
    visa, card = keyword_clips(annotations[:2], audio)
    assert (visa.word, len(visa.samples), len(card.samples)) == ("visa", round(0.28 * 16_000), round(1.5 * 16_000))
    assert visa.samples[0] == pytest.approx(0.9 * 1.13 / 2, abs=1e-3)
    with pytest.raises(AudioError, match="2_0_d903"):
        list(keyword_clips(annotations[2:], audio))


def test_a_word_beyond_the_end_and_a_sentence_twice_are_refused(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        sf.write(tmp_path / folder / "5_1_d1251.wav", np.zeros(1000), 16_000)
    with pytest.raises(AudioError, match="the sentence is also"):
        find_sentences(tmp_path)
    audio = find_sentences(tmp_path / "a")
    with pytest.raises(AudioError, match="ends before 'visa'"):
        list(keyword_clips(read_annotations(written(tmp_path, TABLE))[:1], audio))
    (tmp_path / "c").mkdir()
    with pytest.raises(AudioError, match="holds no"):
        find_sentences(tmp_path / "c")


def test_a_sentence_is_known_by_its_file_on_any_system() -> None:
    assert {sentence_of(f) for f in (".\\d\\5_1_d1.wav", "d/5_1_d1.txt", "C:\\Audio\\5_1_d1.txt")} == {"5_1_d1"}
