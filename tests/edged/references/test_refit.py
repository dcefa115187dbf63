"""The scoring of the configuration: stored with what was fitted, advised where it differs, applied by a refit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.errors import ConfigError, StateError
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.refit import refit_stream
from edged.references.store import BankStore
from edged.score.lof import LofBackend
from tests.fakes.sounds import machine


def configured(scoring) -> Assembly:
    fan = {"device": "hall", "monitors": {"anomaly": {"scoring": scoring}}}
    return Assembly(parse_config({"devices": {"hall": {"source": "microphone"}}, "streams": {"fan": fan}}, "test"))


def clips(seeds: range) -> list:
    return [clip_of_samples(f"{seed}.wav", machine(10, seed), ANOMALY_CLIPS) for seed in seeds]


def kinds(assembly: Assembly, store: BankStore) -> list[type]:
    return [type(part.backend) for part in assembly.bank(store, "fan", "anomaly").scorer.parts]


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory):
    """A state directory with references fitted by the default."""
    state = tmp_path_factory.mktemp("state")
    with BankStore(state) as store:
        enroll_domain(configured("default"), store, "fan", clips(range(4)))
    return state


@pytest.fixture
def store(enrolled, tmp_path):
    (tmp_path / "edged.db").write_bytes((enrolled / "edged.db").read_bytes())
    with BankStore(tmp_path) as opened:
        yield opened


def advice(assembly: Assembly, store: BankStore) -> str:
    return assembly.monitor(store, "fan", "anomaly").advice


def test_another_scoring_changes_nothing_until_a_refit(store):
    assembly = configured("lof")
    before = kinds(assembly, store)
    assert LofBackend not in before
    assert "scoring 'default', which stays in use; the configuration says 'lof'" in advice(assembly, store)
    assert "edged references refit --stream fan" in advice(assembly, store)
    report = refit_stream(assembly, store, "fan")
    assert (report.version, report.scoring, report.changed) == (2, "lof", True)
    assert kinds(assembly, store) == [LofBackend] * 3
    assert advice(assembly, store) == ""
    assert store.versions("fan", "anomaly")[0].reason == "refitted by scoring lof"
    store.rollback("fan", "anomaly")
    assert kinds(assembly, store) == before


def test_a_refit_judges_as_enrolling_the_clips_would(store, tmp_path):
    assembly = configured({"embedding": "lof"})
    refit_stream(assembly, store, "fan")
    with BankStore(tmp_path / "other") as other:
        enroll_domain(assembly, other, "fan", clips(range(4)))
        anew, refitted = (assembly.bank(s, "fan", "anomaly") for s in (other, store))
    assert anew.scoring == refitted.scoring == {"embedding": "lof"}
    assert anew.threshold == refitted.threshold
    for ours, theirs in zip(refitted.scorer.parts, anew.scorer.parts, strict=True):
        np.testing.assert_array_equal(ours.backend.leave_clip_out(), theirs.backend.leave_clip_out())
    assert [clip.sha256 for clip in refitted.clips] == [clip.sha256 for clip in anew.clips]


def test_a_refit_that_changes_nothing_makes_no_version(store):
    report = refit_stream(configured("default"), store, "fan")
    assert (report.version, report.changed) == (1, False)
    assert len(store.versions("fan", "anomaly")) == 1


def test_the_next_enrolment_uses_the_configured_scoring_for_all_clips(store):
    enroll_domain(configured("gaussian"), store, "fan", clips(range(4, 6)), domain="night")
    bank = configured("gaussian").bank(store, "fan", "anomaly")
    assert bank.scoring == "gaussian"
    assert len(bank.scorer.domains) == len(bank.references["quiet"])


def test_a_bank_from_before_there_was_a_choice_was_fitted_by_the_default(store):
    assembly = configured("default")
    stored = store.load_active("fan", "anomaly")
    facts = {key: value for key, value in stored.facts.items() if key != "scoring"}
    store.commit("fan", "anomaly", json.loads(json.dumps(facts)), stored.arrays, reason="old", based_on=1)
    assert assembly.bank(store, "fan", "anomaly").scoring == "default"
    assert advice(assembly, store) == ""


def test_what_cannot_be_refitted_is_refused(store):
    with pytest.raises(StateError, match="no references"):
        refit_stream(configured("lof"), store, "pump")
    wrong = configured({"smell": "lof"})
    with pytest.raises(ConfigError, match="no representation 'smell'"):
        refit_stream(wrong, store, "fan")
    with pytest.raises(ConfigError, match="no representation 'smell'"):
        wrong.monitor(store, "fan", "anomaly")
    assert len(store.versions("fan", "anomaly")) == 1


@pytest.mark.parametrize("scoring", ["magic", {}, {"embedding": "magic"}, ["lof"], 3])
def test_an_impossible_setting_is_an_error_of_the_configuration(scoring):
    with pytest.raises(ConfigError, match="scoring"):
        configured(scoring)
