"""Words, their counter-examples and averages through the shipped bundle: enrolled, stored, listened for, taken back."""

from __future__ import annotations

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.demo.speech import spoken_clip
from edged.errors import EnrolmentError
from edged.flow import Block
from edged.references import keyword
from edged.references.clips import KEYWORD_CLIPS, ClipSet, RefusedClip, clip_of_samples
from edged.references.keyword_enroll import KeywordWish, counter_names, enroll_keyword
from edged.references.overview import overview
from edged.references.store import BankStore
from edged.references.terms import Terms
from edged.references.transfer import export_bank, import_bank


@pytest.fixture(scope="module")
def assembly():
    return Assembly(parse_config({}, "test"))


@pytest.fixture
def store(tmp_path):
    with BankStore(tmp_path) as opened:
        yield opened


VOICES = (1.0, 0.93, 1.07, 0.97, 1.03)


def word(name, voice):
    """A synthetic voice's word, slower and lower or faster and higher."""
    samples = spoken_clip(f"{name}-1")
    places = np.arange(0, len(samples) - 1, VOICES[voice])
    return (0.05 * np.interp(places, np.arange(len(samples)), samples)).astype(np.float32)


def clip(name, voice):
    return clip_of_samples(f"{name}{voice}.wav", np.pad(word(name, voice), 4000), KEYWORD_CLIPS)


def clips(name, voices):
    return [clip(name, voice) for voice in voices]


def heard(assembly, store, names, block=2_000):
    """The words that are reported of words with pauses."""
    monitor = assembly.monitor(store, "hall", "keyword")
    embedder = assembly.embedder(monitor.bundle)
    samples = np.concatenate([np.pad(word(name, 3), 8_000) for name in names])
    found = []
    for at in range(0, len(samples), block):
        for embedding in embedder.embed(monitor.push(Block(at, samples[at : at + block]))):
            found += monitor.accept(embedding).detections
    for embedding in embedder.embed(monitor.flush()):
        found += monitor.accept(embedding).detections
    found += monitor.finish().detections
    return [(one.keyword, one.onset_sample, one.offset_sample, round(one.score, 6)) for one in found]


def bank_of(assembly, store):
    bank = assembly.bank(store, "hall", "keyword")
    assert isinstance(bank, keyword.KeywordBank)
    return bank


def test_counter_examples_keep_a_word_from_being_reported_and_a_rollback_gives_it_back(assembly, store):
    """What is enrolled as 'forklift' sounds like both words, so that one of them has to be told from it."""
    mixed = [clip("forklift", 0), clip("warehouse", 0)]
    enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(force=True))
    names = ["warehouse", "forklift"]
    before = heard(assembly, store, names)
    assert len(before) == 2
    good = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", (3, 4))))})
    report = enroll_keyword(assembly, store, "hall", [], word=good, terms=Terms(force=True))
    assert (report.version, report.added_clips, report.total_clips) == (2, 0, 2)
    after = heard(assembly, store, names)
    assert after == before[1:2]
    assert all(heard(assembly, store, names, block) == after for block in (256, 5_000, 10**6))
    assert store.versions("hall", "keyword")[0].reason == "changed forklift, not 'warehouse'"
    store.rollback("hall", "keyword")
    assert heard(assembly, store, names) == before


def test_counter_examples_that_are_the_word_itself_are_doubted(assembly, store):
    enroll_keyword(assembly, store, "hall", clips("forklift", range(3)), word="forklift")
    wish = KeywordWish("forklift", {"other": ClipSet(tuple(clips("forklift", (3, 4))))})
    doubted = enroll_keyword(assembly, store, "hall", [], word=wish, terms=Terms(dry_run=True))
    assert doubted.doubts[0].startswith("counter-example 'other': ")
    with pytest.raises(EnrolmentError, match="would not be reported"):
        enroll_keyword(assembly, store, "hall", [], word=wish)


def test_counter_examples_are_stored_and_grow(assembly, store):
    wish = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", range(2))))})
    enroll_keyword(assembly, store, "hall", clips("forklift", range(3)), word=wish)
    more = KeywordWish(
        "forklift", {name: ClipSet(tuple(clips(name, range(1, 4)))) for name in ("warehouse", "ventilation")}
    )
    enroll_keyword(assembly, store, "hall", [], word=more)
    enroll_keyword(assembly, store, "hall", clips("conveyor", range(3)), word="conveyor")
    bank = bank_of(assembly, store)
    assert [(one.word, one.name, len(one.templates)) for one in bank.counters] == [
        ("forklift", "warehouse", 4),
        ("forklift", "ventilation", 3),
    ]
    assert bank.verifier is not None
    assert len(bank.verifier.words) == 3
    assert bank.words == {"forklift": 3, "conveyor": 3}


def test_the_average_of_a_word_is_made_again_only_when_its_clips_are_others(assembly, store, monkeypatch):
    # every enrolment made all averages again
    enroll_keyword(assembly, store, "hall", clips("forklift", range(3)), word=KeywordWish("forklift", average=True))
    made, make = [], keyword.representative
    monkeypatch.setattr(keyword, "representative", lambda shots: made.append(len(shots)) or make(shots))
    first = assembly.bank(store, "hall", "keyword").model
    enroll_keyword(assembly, store, "hall", clips("warehouse", range(3)), word=KeywordWish("warehouse", average=True))
    assert made == [3]
    assert assembly.bank(store, "hall", "keyword").model.identity(0) == first.identity(0)
    enroll_keyword(assembly, store, "hall", clips("forklift", [3, 4]), word="forklift")
    assert made == [3, 5]


def test_an_average_is_one_template_that_still_finds_the_word(assembly, store):
    enroll_keyword(assembly, store, "hall", clips("forklift", range(4)), word=KeywordWish("forklift", average=True))
    enroll_keyword(assembly, store, "hall", clips("conveyor", range(3)), word="conveyor")
    bank = bank_of(assembly, store)
    assert (len(bank.templates), len(bank.model.templates), bank.averaged) == (7, 4, ("forklift",))
    assert [name for name, *_ in heard(assembly, store, ["forklift", "conveyor"])] == ["forklift", "conveyor"]
    enroll_keyword(assembly, store, "hall", clips("forklift", (4,)), word="forklift")
    assert len(bank_of(assembly, store).model.templates) == 4


def test_a_doubtful_set_waits_for_force_and_a_dry_run_changes_nothing(assembly, store):
    """Of three clips none can be left out."""
    mixed = [*clips("forklift", range(2)), clip("warehouse", 0)]
    report = enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(dry_run=True))
    assert [one.name for one in report.clips if one.verdict == "doubtful"] == ["warehouse0.wav"]
    assert (report.accepted, report.left_out, store.active_version("hall", "keyword")) == (False, (), 0)
    with pytest.raises(EnrolmentError, match=r"warehouse0\.wav: the odd one out") as refused:
        enroll_keyword(assembly, store, "hall", mixed, word="forklift")
    assert refused.value.report["doubts"] == report.doubts
    assert enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(force=True)).version == 1


def test_a_doubtful_clip_is_left_out_by_name_and_the_word_enrolled_from_the_others(assembly, store):
    mixed = [*clips("forklift", range(3)), clip("warehouse", 0)]
    dry = enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(dry_run=True))
    assert (dry.accepted, dry.added_clips, store.active_version("hall", "keyword")) == (True, 3, 0)
    report = enroll_keyword(assembly, store, "hall", mixed, word="forklift")
    (left_out,) = report.left_out
    assert (left_out.name, left_out.verdict) == ("warehouse0.wav", "left out")
    assert left_out.reason.startswith("the odd one out: ")
    assert dry.left_out == report.left_out
    assert (report.version, report.added_clips, report.total_clips, report.doubts) == (1, 3, 3, ())
    assert [one.name for one in bank_of(assembly, store).clips] == [one.name for one in mixed[:3]]
    assert [name for name, *_ in heard(assembly, store, ["warehouse", "forklift"])] == ["forklift"]
    with pytest.raises(EnrolmentError, match=r"warehouse0\.wav: the odd one out"):
        enroll_keyword(assembly, store, "hall", mixed, word="forklift")
    assert bank_of(assembly, store).version == 1
    forced = enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(force=True))
    assert (forced.added_clips, forced.total_clips, forced.left_out) == (1, 4, ())


def test_force_takes_the_clips_that_would_be_left_out(assembly, store):
    mixed = [*clips("forklift", range(3)), clip("warehouse", 0)]
    report = enroll_keyword(assembly, store, "hall", mixed, word="forklift", terms=Terms(force=True))
    assert (report.added_clips, report.left_out) == (4, ())
    assert report.doubts[0].startswith("warehouse0.wav: the odd one out")


def test_too_many_doubtful_clips_make_the_set_doubtful(assembly, store):
    mixed = [*clips("forklift", range(3)), clip("warehouse", 0), clip("ventilation", 1), clip("conveyor", 2)]
    with pytest.raises(EnrolmentError, match=r"doubtful, nothing enrolled:\n  warehouse0\.wav") as doubted:
        enroll_keyword(assembly, store, "hall", mixed, word="forklift")
    assert doubted.value.report["left_out"] == ()
    assert store.active_version("hall", "keyword") == 0


def test_a_confusable_word_waits_for_force_whatever_is_left_out(assembly, store):
    enroll_keyword(assembly, store, "hall", clips("forklift", range(3)), word="forklift")
    again = [clip_of_samples(f"{k}.wav", np.pad(word("forklift", k), 5000), KEYWORD_CLIPS) for k in range(3)]
    mixed = [*again, clip("warehouse", 0)]
    with pytest.raises(EnrolmentError, match="confusable with 'forklift'") as doubted:
        enroll_keyword(assembly, store, "hall", mixed, word="lift")
    assert "with the doubtful clips that are left out now" in doubted.value.fix
    assert [one["name"] for one in doubted.value.report["left_out"]] == ["warehouse0.wav"]
    assert enroll_keyword(assembly, store, "hall", mixed, word="lift", terms=Terms(force=True)).added_clips == 4


def test_a_clip_without_a_word_is_refused_by_name(assembly, store):
    long_tone = np.sin(np.arange(5 * 16_000) * 0.3).astype(np.float32) * np.float32(0.1)
    unfit = clip_of_samples("tone.wav", np.pad(long_tone, 8_000), KEYWORD_CLIPS)
    with pytest.raises(EnrolmentError, match=r"tone\.wav: 5\.\d s of sound are too long for a word") as refused:
        enroll_keyword(
            assembly, store, "hall", [*clips("forklift", range(2)), unfit], word="forklift", terms=Terms(force=True)
        )
    assert refused.value.report["refused"][0]["fault"] == "too long"
    assert store.active_version("hall", "keyword") == 0


def test_refused_clips_are_left_out_where_enough_others_remain(assembly, store):
    long_tone = np.sin(np.arange(5 * 16_000) * 0.3).astype(np.float32) * np.float32(0.1)
    unfit = clip_of_samples("tone.wav", np.pad(long_tone, 8_000), KEYWORD_CLIPS)
    silent = RefusedClip("dead.wav", "silent", "silent")
    given = ClipSet((*clips("forklift", range(3)), unfit), (silent,))
    report = enroll_keyword(assembly, store, "hall", given, word="forklift")
    assert {one.name: one.verdict for one in report.left_out} == {"dead.wav": "refused", "tone.wav": "refused"}
    assert (report.added_clips, report.total_clips, [one.fault for one in report.refused]) == (
        3, 3, ["silent", "too long"],
    )  # fmt: skip
    more = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", range(2))), (silent,))})
    with pytest.raises(EnrolmentError, match=r"1 clip refused, nothing enrolled:\n  dead\.wav: silent"):
        enroll_keyword(assembly, store, "hall", [], word=more)
    enough = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", range(3))), (silent,))})
    report = enroll_keyword(assembly, store, "hall", [], word=enough)
    assert [one.name for one in report.left_out] == ["dead.wav"]
    assert [len(one.templates) for one in bank_of(assembly, store).counters] == [3]


def test_a_word_that_is_not_enrolled_cannot_be_changed(assembly, store):
    wish = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", range(2))))})
    with pytest.raises(EnrolmentError, match="'forklift' is not enrolled on stream 'hall'"):
        enroll_keyword(assembly, store, "hall", [], word=wish)
    with pytest.raises(EnrolmentError, match="is not enrolled"):
        enroll_keyword(assembly, store, "hall", [], word="forklift")


def test_counter_examples_are_called_by_their_paths_names(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "top.wav").touch()
    assert list(counter_names([tmp_path / "shop", tmp_path / "top.wav"])) == ["shop", "top"]
    with pytest.raises(EnrolmentError, match="two counter-examples are called 'shop'"):
        counter_names([tmp_path / "shop", tmp_path / "shop.wav"])
    with pytest.raises(EnrolmentError, match="more than 4"):
        counter_names([tmp_path / f"{k}.wav" for k in range(5)])


def test_a_bank_with_counter_examples_goes_to_another_device_and_a_damaged_one_does_not(assembly, store, tmp_path):
    wish = KeywordWish("forklift", {"warehouse": ClipSet(tuple(clips("warehouse", range(2))))}, average=True)
    enroll_keyword(assembly, store, "hall", clips("forklift", range(3)), word=wish)
    signer = export_bank(store, tmp_path, "hall", "keyword", tmp_path / "hall.edged-bank")["signer"]
    with BankStore(tmp_path / "other") as other:
        import_bank(assembly, other, tmp_path / "other", "door", tmp_path / "hall.edged-bank", signer=signer)
        shown = overview(other, "door")["monitors"]["keyword"]
    assert shown["counters"] == [{"word": "forklift", "name": "warehouse", "clips": 2}]
    assert shown["averaged"] == ["forklift"]
    stored = store.load_active("hall", "keyword")
    assert stored is not None
    arrays = dict(stored.arrays) | {"counter/0/1": np.full((9, 128), np.nan, np.float32)}
    store.commit("hall", "keyword", stored.facts, arrays, reason="test", based_on=1)
    export_bank(store, tmp_path, "hall", "keyword", tmp_path / "bad.edged-bank")
    with BankStore(tmp_path / "third") as third, pytest.raises(EnrolmentError, match="finite values"):
        import_bank(assembly, third, tmp_path / "third", "door", tmp_path / "bad.edged-bank", signer=signer)
