"""Orders of words: JSON and both kinds of table, and what is wrong with a file."""

import json

import pytest

from edged.errors import AudioError
from trainer.data.keyword_order import read_orders

ORDERS = {"a.wav": ["milk", "credit card"], "b.wav": ["milk"]}


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("o.json", json.dumps(ORDERS)),
        ("o.csv", "file,keyword\na.wav,milk\na.wav,credit card\nb.wav,milk\n"),
        ("o.csv", "file,keywords\na.wav,milk | credit card\nb.wav,milk\n"),
    ],
)
def test_all_forms_say_the_same(tmp_path, name, text) -> None:
    assert read_orders(written(tmp_path, name, text)) == ORDERS


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("o.json", "[1]", "not a mapping"),
        ("o.json", '{"a.wav": "milk"}', "'a.wav' has no list of words"),
        ("o.json", '{"a.wav": [""]}', "'a.wav' has no list of words"),
        ("o.json", "{", "o.json"),
        ("o.json", "[" * 100_000, "o.json"),
        ("o.json", "{}", "names no words"),
        ("o.csv", "file,word\na.wav,milk\n", "line 1: no columns file and keyword"),
        ("o.csv", "file,keyword\na.wav,milk\na.wav,\n", "line 3: no file or an empty word"),
        ("o.csv", "file,keywords\na.wav,milk||tea\n", "line 2: no file or an empty word"),
        ("o.csv", 'file,keyword\na.wav,"milk\nb.wav,tea\n', "unexpected end of data"),  # b.wav was part of a word
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, problem) -> None:
    with pytest.raises(AudioError, match=problem):
        read_orders(written(tmp_path, name, text))
