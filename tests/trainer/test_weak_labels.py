"""`edged-train align` from folders to tables, on constructed sentences and on the recorded orders."""

import json

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from edged.errors import AudioError, UsageError
from tests.fakes.sounds import RATE_HZ, sentence, word
from trainer.commands.align import align
from trainer.data.dailytalk import read_annotations
from trainer.data.keywords import read_word_folders
from trainer.evaluate.keyword_sets import ORDER_WORDS, orders_task
from trainer.evaluate.overlaps import overlap_shares, share_overlapping
from trainer.files import StorageError
from trainer.weak_labels import HFCC, align_sentences, templates_of

WORDS = ("milk", "sugar", "lemon")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Clips of three words, two sentences with a word between that has no clips, and their truth."""
    root = tmp_path_factory.mktemp("weak")
    for name in WORDS:
        (root / "words" / name).mkdir(parents=True)
        for take in range(2):
            sf.write(root / "words" / name / f"{take}.wav", np.pad(word(name, take), 2000), RATE_HZ)
    (root / "talk").mkdir()
    truth = {}
    for index, spoken in enumerate((["milk", "tea", "sugar"], ["lemon", "milk", "lemon"])):
        samples, events = sentence(spoken, seed=20 + index)
        sf.write(root / "talk" / f"{index}.wav", samples, RATE_HZ)
        truth[f"{index}.wav"] = [event for event in events if event[0] in WORDS]
    orders = {name: [event[0] for event in events] for name, events in truth.items()}
    (root / "order.json").write_text(json.dumps(orders))
    return root, truth


def run(root, out, *more):
    import typer

    app = typer.Typer()
    app.command()(align)
    arguments = [
        "--keywords",
        root / "words",
        "--sentences",
        root / "talk",
        "--order",
        root / "order.json",
        "--out",
        out,
    ]
    return CliRunner().invoke(app, [*map(str, arguments), *more], catch_exceptions=False)


@pytest.mark.parametrize("template", ["best", "mean"])
def test_words_get_their_times(folders, tmp_path, template) -> None:
    root, truth = folders
    assert run(root, tmp_path / "labels.csv", "--template", template).exit_code == 0
    annotations = read_annotations(tmp_path / "labels.csv")
    expected = [(name[:-4], event) for name, events in truth.items() for event in events]
    assert [(a.sentence, a.event.label) for a in annotations] == [(name, event[0]) for name, event in expected]
    for annotation, (_, (_, onset_s, offset_s)) in zip(annotations, expected, strict=True):
        assert annotation.event.onset_s == pytest.approx(onset_s, abs=0.08)
        assert annotation.event.offset_s == pytest.approx(offset_s, abs=0.12)


def test_json_holds_the_same(folders, tmp_path) -> None:
    root, _ = folders
    run(root, tmp_path / "labels.json")
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert len(labels) == 5
    assert set(labels[0]) == {"file", "keyword", "onset_s", "offset_s", "distance"}


def test_places_are_looked_at_before_the_work(folders, tmp_path) -> None:
    root, _ = folders
    with pytest.raises(UsageError, match=r"neither \.csv nor \.json"):
        run(root, tmp_path / "labels.xlsx")
    for option in ("--keywords", "--sentences"):
        with pytest.raises(UsageError, match="nowhere: no such folder"):
            run(root, tmp_path / "labels.csv", option, str(tmp_path / "nowhere"))
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="no files can be written there"):
        run(root, tmp_path / "taken" / "labels.csv")


def test_what_cannot_be_aligned_is_refused_by_name(folders, tmp_path) -> None:
    root, _ = folders
    templates = templates_of(read_word_folders(root / "words"), HFCC, "best")
    with pytest.raises(UsageError, match="no clips of tea"):
        align_sentences({"0.wav": ["milk", "tea"]}, root / "talk", templates, HFCC)
    with pytest.raises(AudioError, match="not below"):
        align_sentences({"../words/milk/0.wav": ["milk"]}, root / "talk", templates, HFCC)
    with pytest.raises(AudioError, match=r"0\.wav: 40 words do not fit"):
        align_sentences({"0.wav": ["milk"] * 40}, root / "talk", templates, HFCC)
    with pytest.raises(AudioError, match=r"2\.wav"):
        align_sentences({"2.wav": ["milk"]}, root / "talk", templates, HFCC)
    assert align_sentences({"missing.wav": []}, root / "talk", templates, HFCC) == []


def test_shares_of_overlap() -> None:
    truth, found = [(0.0, 1.0), (2.0, 3.0)], [(0.5, 1.0), (2.0, 4.0)]
    shares = overlap_shares(found, truth)
    np.testing.assert_allclose(shares, [[0.5, 1.0], [1.0, 0.5]])
    assert share_overlapping(shares, of_truth=0.5, of_result=0.5) == 1.0
    assert share_overlapping(shares, of_truth=0.7, of_result=0.5) == 0.5
    assert share_overlapping(shares, of_truth=0.7, of_result=0.6) == 0.0


def test_recorded_orders_are_aligned(data_dir) -> None:
    """Real sentences: at least half of the words overlap as the paper asks of its data augmentation."""
    task, audio = orders_task(data_dir, 0, ORDER_WORDS, context_s=0.0)
    templates = {name: [HFCC.rows(clip) for clip in clips] for name, clips in task.shots.items()}
    from trainer.align import align_order

    found, truth = [], []
    for name in [n for n, events in task.spoken.items() if events][:12]:
        words = align_order([templates[event.word] for event in task.spoken[name]], HFCC.rows(audio[name]))
        found += [(w.frame_start * 0.01, w.frame_end * 0.01) for w in words]
        truth += [(event.onset_s, event.offset_s) for event in task.spoken[name]]
    assert share_overlapping(overlap_shares(found, truth), of_truth=0.7, of_result=0.6) >= 0.5
