"""References outlive an upgrade of their bundle as long as its vectors mean the same."""

from dataclasses import replace

import numpy as np
import pytest

from edged.assembly import Assembly, open_bundle
from edged.config import Config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.errors import StateError
from edged.features.anomaly import AnomalySpec
from edged.references.anomaly import bank_to_store, labelled_bank
from edged.references.bank import bundle_facts, check_same_bundle
from edged.references.clips import ANOMALY_CLIPS, ClipSet, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.fitting import FittedBy
from edged.references.refit import refit_stream
from edged.references.store import BankStore
from tests.fakes.sounds import machine


def bundle_at(directory, version, n_mels=32, card="", **backend):
    spec = AnomalySpec(
        segment_samples=16000, hop_samples=8192, inputs=(), n_mels=n_mels, statistics={"mean": ("mean",)}
    )
    scored = {"backend": "density", "params": {"n_neighbours": 1}, "weight": 1.0} | backend
    manifest = Manifest(
        kind="anomaly", id="small", version=version, segment_samples=16000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="mean", source="features", dim=n_mels, **scored),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(directory, manifest, card=card)


@pytest.fixture
def upgraded(tmp_path):
    """A bank, and a way to use it with another bundle in the place of the one that it was made with."""
    place, state = tmp_path / "bundle", tmp_path / "state"
    state.mkdir()
    bundle_at(place, "1")
    streams = {"press": {"device": "d", "monitors": {"anomaly": {"bundle": str(place)}}}}
    facts = {"state_dir": str(state), "devices": {"d": {"source": "microphone"}}, "streams": streams}

    def assembly(**changes):
        if changes:
            bundle_at(place, "2", **changes)
        return Assembly(Config.model_validate(facts))

    with BankStore(state) as store:
        clips = tuple(clip_of_samples(str(seed), machine(3.0, seed), ANOMALY_CLIPS) for seed in range(4))
        enroll_domain(assembly(), store, "press", ClipSet(clips))
        yield assembly, store


def monitor_of(assembly, store):
    return assembly.monitor(store, "press", "anomaly")


LOF = {"backend": "lof", "params": {"n_neighbours": 2}}


def test_an_upgrade_that_scores_otherwise_leaves_scores_and_threshold_alone_until_a_refit(upgraded):
    # the digest of the whole manifest was compared: one changed word in the card made every bank unusable
    assembly, store = upgraded
    before = monitor_of(assembly(), store)
    newer = assembly(card="changed", **LOF)
    after = monitor_of(newer, store)
    assert after.bank.threshold == before.bank.threshold
    ours, theirs = after.bank.scorer.to_arrays(), before.bank.scorer.to_arrays()
    assert all(np.array_equal(ours[key], theirs[key], equal_nan=ours[key].dtype.kind == "f") for key in theirs)
    assert "fitted with small@1:" in after.advice
    assert "small@2:" in after.advice
    assert "`edged references refit --stream press`" in after.advice
    report = refit_stream(newer, store, "press")
    refitted = monitor_of(newer, store)
    assert (report.changed, refitted.advice) == (True, "")
    assert refitted.bank.fitted_by.backends[0]["backend"] == "lof"
    store.rollback("press", "anomaly")
    assert monitor_of(newer, store).advice == after.advice


def test_nothing_is_advised_where_only_the_card_changed(upgraded):
    assembly, store = upgraded
    assert monitor_of(assembly(card="changed"), store).advice == ""


@pytest.mark.parametrize("changed", [{"params": {"n_neighbours": 2}}, {"weight": 2.0}, LOF])
def test_every_change_of_a_back_end_is_told(upgraded, changed):
    assembly, store = upgraded
    assert "chooses others" in monitor_of(assembly(**changed), store).advice


def test_another_front_end_is_refused_with_what_to_do(upgraded):
    assembly, store = upgraded
    with pytest.raises(StateError, match=r"network or front end of small@2.*references remove"):
        monitor_of(assembly(n_mels=16), store)


def test_clips_enrolled_after_an_upgrade_join_the_old_ones(upgraded):
    assembly, store = upgraded
    newer = assembly(**LOF)
    more = tuple(clip_of_samples(str(seed), machine(3.0, seed), ANOMALY_CLIPS) for seed in range(4, 6))
    enroll_domain(newer, store, "press", ClipSet(more), domain="source")
    monitor = monitor_of(newer, store)
    assert (len(monitor.bank.clips), monitor.advice) == (6, "")


def of_1_1_1(bundle):
    """What edged-anomaly 1.1.1 was, as far as its vectors depend on it."""
    manifest = bundle.manifest
    quiet, change, embedding = manifest.representations
    then = {
        "features_digest": "2deff0f7da73c1d6d805c8eac227173cdbf37dd07c2d8e8306eb58d5d4846cea",
        "files": {"model.onnx": "0b54f8110da16444fd8f3b59c2fdb4ec2aa4c9f79ac1b8baf154a2d088931e44"},
        "representations": (quiet, change, embedding.model_copy(update={"dim": 256})),
    }
    return replace(bundle, digest="of 1.1.1", manifest=manifest.model_copy(update=then))


def test_a_bank_of_the_bundle_before_is_known_though_it_does_not_say_so():
    """Banks of edged-anomaly 1.1.0 hold the digest of its manifest only; 1.1.1 embeds as it did, 1.2.0 does not."""
    bundle = of_1_1_1(open_bundle("anomaly"))
    old = {
        "bundle": "edged-anomaly@1.1.0",
        "bundle_digest": "1e494af2e0b568e087c8fc4a8617dc181042e0ffd2d59d15214565903abc8ff9",
    }
    check_same_bundle(old, bundle, "press/anomaly")
    for facts, newer in ((old | {"bundle_digest": "0" * 64}, bundle), (old, open_bundle("anomaly"))):
        with pytest.raises(StateError, match="is another"):
            check_same_bundle(facts, newer, "press/anomaly")


def test_a_bundle_of_another_network_has_other_vectors(tmp_path):
    bundle = open_bundle("anomaly")
    files = dict(bundle.manifest.files) | {"model.onnx": "0" * 64}
    other = replace(bundle, digest="other", manifest=bundle.manifest.model_copy(update={"files": files}))
    with pytest.raises(StateError, match="is another"):
        check_same_bundle(bundle_facts(bundle), other, "press/anomaly")
    card = dict(bundle.manifest.files) | {"card.md": "0" * 64}
    renamed = replace(bundle, digest="other", manifest=bundle.manifest.model_copy(update={"files": card}))
    check_same_bundle(bundle_facts(bundle), renamed, "press/anomaly")


def test_an_old_bank_says_by_which_back_ends_it_was_fitted_as_far_as_it_knows(upgraded):
    assembly, store = upgraded
    stored = store.load_active("press", "anomaly")
    facts = {key: value for key, value in stored.facts.items() if key not in {"backends", "fitted_with"}}
    store.commit("press", "anomaly", facts, stored.arrays, reason="old", based_on=1)
    bank = assembly().bank(store, "press", "anomaly")
    assert bank.fitted_by.backends == ({"name": "mean", "backend": "density", "weight": 1.0},)
    assert bank.fitted_by.is_by(assembly().bundle("press", "anomaly"), "default")
    assert not bank.fitted_by.is_by(assembly(**LOF).bundle("press", "anomaly"), "default")
    assert FittedBy.of_facts(stored.facts, bank.scorer).backends[0]["params"] == {"n_neighbours": 1}


def test_a_label_given_after_an_upgrade_does_not_hide_what_fitted_the_bank(upgraded):
    assembly, store = upgraded
    newer = assembly(**LOF)
    bundle = newer.bundle("press", "anomaly")
    labelled = labelled_bank(bundle, newer.bank(store, "press", "anomaly"), ())
    store.commit("press", "anomaly", *bank_to_store(labelled, bundle), reason="feedback", based_on=1)
    assert "fitted with small@1:" in monitor_of(newer, store).advice
