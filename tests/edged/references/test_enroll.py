"""Enrolment builds a new version and leaves the old one; what is stored scores like what was fitted."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.errors import EnrolmentError, StateError
from edged.pipeline import embed_signal
from edged.references import anomaly, keyword
from edged.references.clips import ANOMALY_CLIPS, KEYWORD_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain, enroll_keyword
from edged.references.store import BankStore
from edged.state import DATABASE_NAME
from tests.fakes.sounds import machine, word


@pytest.fixture(scope="module")
def assembly() -> Assembly:
    return Assembly(parse_config({}, "test"))


@pytest.fixture
def store(tmp_path):
    with BankStore(tmp_path) as opened:
        yield opened


def machine_clips(seeds: range) -> list:
    return [clip_of_samples(f"{seed}.wav", machine(10, seed), ANOMALY_CLIPS) for seed in seeds]


def word_clips(name: str, seeds: range) -> list:
    return [clip_of_samples(f"{name}{s}.wav", np.pad(word(name, s), 4000), KEYWORD_CLIPS) for s in seeds]


def test_the_first_clips_are_the_source_and_later_ones_a_target(assembly, store):
    first = enroll_domain(assembly, store, "fan", machine_clips(range(5)))
    second = enroll_domain(assembly, store, "fan", machine_clips(range(5, 7)))
    assert (first.label, first.version, first.total_clips) == ("source", 1, 5)
    assert (second.label, second.version, second.total_clips) == ("target", 2, 7)
    bank = assembly.bank(store, "fan", "anomaly")
    assert isinstance(bank, anomaly.AnomalyBank)
    assert bank.domains == {"source": 5, "target": 2}


def test_a_stored_bank_scores_bit_for_bit_as_fitted(assembly, store):
    bundle = assembly.bundle("fan", "anomaly")
    embedder = assembly.embedder(bundle)
    clips = [(clip, embed_signal(clip.samples, bundle, embedder)) for clip in machine_clips(range(6))]
    fitted = anomaly.extended_bank(bundle, None, clips, "source")
    store.commit("fan", "anomaly", *anomaly.bank_to_store(fitted, bundle), reason="test", based_on=0)
    stored = assembly.bank(store, "fan", "anomaly")
    assert isinstance(stored, anomaly.AnomalyBank)
    probe = embed_signal(machine(10, 99, fault=True), bundle, embedder)[0].vectors
    assert stored.scorer.score(probe) == fitted.scorer.score(probe)
    assert stored.threshold == fitted.threshold
    assert stored.clips == fitted.clips


def test_rollback_brings_the_old_scores_back(assembly, store):
    bundle = assembly.bundle("fan", "anomaly")
    probe = embed_signal(machine(10, 99, fault=True), bundle, assembly.embedder(bundle))[0].vectors

    def score() -> float:
        bank = assembly.bank(store, "fan", "anomaly")
        assert isinstance(bank, anomaly.AnomalyBank)
        return bank.scorer.score(probe).anomaly_score

    enroll_domain(assembly, store, "fan", machine_clips(range(5)))
    before = score()
    faulty = [clip_of_samples(f"f{s}.wav", machine(10, s, fault=True), ANOMALY_CLIPS) for s in range(50, 53)]
    enroll_domain(assembly, store, "fan", faulty, domain="odd")
    assert score() < before
    store.rollback("fan", "anomaly")
    assert score() == before


def test_clips_that_are_enrolled_already_add_nothing(assembly, store):
    enroll_domain(assembly, store, "fan", machine_clips(range(4)))
    with pytest.raises(EnrolmentError, match="already"):
        enroll_domain(assembly, store, "fan", machine_clips(range(4)))
    assert store.active_version("fan", "anomaly") == 1


@pytest.mark.parametrize("label", ["", " ", "x" * 65, "a\nb", "a\udcffb", "\0"])
def test_a_label_that_cannot_be_shown_is_refused(assembly, store, label):
    """A domain of half a megabyte made every event larger than subscribers take; a lone surrogate ended in SQLite."""
    with pytest.raises(EnrolmentError, match="the domain must have 1 to 64 printable characters"):
        enroll_domain(assembly, store, "fan", machine_clips(range(2)), domain=label)
    with pytest.raises(EnrolmentError, match="the keyword must have"):
        enroll_keyword(assembly, store, "hall", word_clips("alpha", range(2)), word=label)
    assert store.streams() == []


@pytest.mark.parametrize("stream", ["", "../fan", "a b", "a\nb", "x" * 49])
def test_a_name_that_no_configuration_can_hold_is_refused(assembly, store, stream):
    """References were kept under it that no daemon could ever use."""
    with pytest.raises(EnrolmentError, match="cannot be the name of a stream"):
        enroll_domain(assembly, store, stream, machine_clips(range(2)))
    with pytest.raises(EnrolmentError, match="cannot be the name of a stream"):
        enroll_keyword(assembly, store, stream, word_clips("alpha", range(2)), word="alpha")
    assert store.streams() == []


def test_one_long_recording_is_judged_by_its_pieces(assembly, store):
    report = enroll_domain(assembly, store, "fan", [clip_of_samples("long.wav", machine(130, 3), ANOMALY_CLIPS)])
    assert report.threshold is not None
    assert np.isfinite(report.threshold)


def test_words_are_kept_apart_and_extended(assembly, store):
    enroll_keyword(assembly, store, "hall", word_clips("alpha", range(3)), word="alpha")
    enroll_keyword(assembly, store, "hall", word_clips("omega", range(3)), word="omega")
    enroll_keyword(assembly, store, "hall", word_clips("alpha", range(3, 5)), word="alpha")
    bank = assembly.bank(store, "hall", "keyword")
    assert isinstance(bank, keyword.KeywordBank)
    assert bank.words == {"alpha": 5, "omega": 3}
    assert len(bank.model.templates) == 8


def test_clips_of_a_word_that_are_enrolled_already_are_named(assembly, store):
    """They were passed over without a word, or refused without saying what they are enrolled as."""
    enroll_keyword(assembly, store, "hall", word_clips("alpha", range(3)), word="alpha")
    report = enroll_keyword(assembly, store, "hall", word_clips("alpha", range(4)), word="alpha")
    assert (report.added_clips, report.total_clips) == (1, 4)
    assert [clip.name for clip in report.clips if clip.verdict == "copy"] == ["alpha0.wav", "alpha1.wav", "alpha2.wav"]
    with pytest.raises(EnrolmentError, match="already, as 'alpha' of stream 'hall'"):
        enroll_keyword(assembly, store, "hall", word_clips("alpha", range(2)), word="omega")


def test_a_bank_of_another_bundle_is_refused(assembly, store):
    enroll_domain(assembly, store, "fan", machine_clips(range(3)))
    stored = store.load_active("fan", "anomaly")
    assert stored is not None
    facts = dict(stored.facts) | {"bundle_digest": "0" * 64, "vectors_digest": "0" * 64}
    store.commit("fan", "anomaly", facts, stored.arrays, reason="test", based_on=1)
    with pytest.raises(StateError, match=r"enrolled with bundle .* `edged references remove`"):
        assembly.bank(store, "fan", "anomaly")


def test_a_damaged_bank_is_noticed(assembly, store, tmp_path):
    enroll_domain(assembly, store, "fan", machine_clips(range(3)))
    with sqlite3.connect(tmp_path / DATABASE_NAME) as other:
        blob = bytearray(other.execute("SELECT arrays FROM banks").fetchone()[0])
        blob[len(blob) // 2] ^= 1
        other.execute("UPDATE banks SET arrays=?", (bytes(blob),))
    with pytest.raises(StateError, match="damaged"):
        assembly.bank(store, "fan", "anomaly")


def test_a_bundle_says_how_far_out_its_alarm_lies(assembly):
    bundle = assembly.bundle("fan", "anomaly")
    embedder = assembly.embedder(bundle)
    clips = [(clip, embed_signal(clip.samples, bundle, embedder)) for clip in machine_clips(range(6))]
    farther = replace(bundle, manifest=bundle.manifest.model_copy(update={"decision": {"threshold_spreads": 9.0}}))
    thresholds = [anomaly.extended_bank(b, None, clips, "source").threshold for b in (bundle, farther)]
    assert thresholds[1] > thresholds[0]
