"""A full bank keeps the clips that cover what it knows: whole ones, target domains first, always the same."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import EnrolmentError
from edged.references import anomaly
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.enroll import anomaly_bank, enroll_domain
from edged.references.joint import nearest_distances
from edged.references.reduction import Reduction, quotas, reduced
from tests.fakes.sounds import machine


def sound(n_clips, rows=2, dim=3, seed=0):
    points = np.random.default_rng(seed).standard_normal((n_clips * rows, dim))
    return points, np.repeat(np.arange(n_clips), rows)


def radius(points, owner, kept):
    """How far the farthest segment is from all that is kept."""
    stays = np.isin(owner, kept)
    return nearest_distances(points, points[stays]).max()


def test_what_fits_is_kept_whole():
    points, owner = sound(5)
    found = reduced(points, owner, ["source"] * 5, 10)
    assert (found.kept, dict(found.dropped), found.coverage) == ((0, 1, 2, 3, 4), {}, 1.0)


def test_coverage_is_at_most_twice_that_of_the_best_choice():
    for seed in range(5):
        points, owner = sound(9, rows=1, seed=seed)
        found = reduced(points, owner, ["source"] * 9, 4)
        best = min(radius(points, owner, chosen) for chosen in itertools.combinations(range(9), 4))
        assert len(found.kept) == 4
        assert radius(points, owner, found.kept) <= 2 * best + 1e-9


def test_of_many_alike_and_one_rare_clip_the_rare_one_stays():
    points, owner = sound(20, rows=2)
    points *= 0.01
    points[owner == 0] += 10.0  # the oldest of all
    assert 0 in reduced(points, owner, ["source"] * 20, 10).kept


def test_the_source_yields_before_a_target_loses_a_clip():
    points, owner = sound(30)
    domains = ["source"] * 20 + ["night"] * 10
    found = reduced(points, owner, domains, 40)
    assert dict(found.dropped) == {"source": 10}
    assert set(range(20, 30)) <= set(found.kept)


def test_it_is_the_same_every_time_and_whole_clips_only():
    points, owner = sound(40, rows=3)
    first, again = (reduced(points, owner, ["source"] * 30 + ["a"] * 10, 50) for _ in range(2))
    assert first == again
    assert np.isin(owner, first.kept).sum() == 3 * len(first.kept) <= 50


@given(
    sizes=st.dictionaries(st.sampled_from(["source", "a", "b", "c"]), st.integers(1, 500), min_size=1),
    total=st.integers(4, 800),
)
def test_quotas_are_within_the_bound_and_waste_nothing(sizes, total):
    shares = quotas(sizes, total)
    assert all(0 <= shares[name] <= size for name, size in sizes.items())
    assert sum(shares.values()) <= total
    if sum(sizes.values()) <= total:
        assert shares == sizes
    elif len(sizes) > 1 and "source" in sizes:
        assert shares["source"] >= min(sizes["source"], total // len(sizes))


def test_a_full_bank_takes_a_new_domain_and_says_what_it_gave_up(quick, quick_store, monkeypatch):
    """It refused to grow beyond its bound."""
    monkeypatch.setattr(anomaly, "MAX_ROWS", 40)

    def clips(seeds):
        return [clip_of_samples(f"{seed}.wav", machine(3, seed), ANOMALY_CLIPS) for seed in seeds]

    enroll_domain(quick, quick_store, "fan", clips(range(6)))
    before = anomaly_bank(quick, quick_store, "fan")
    report = enroll_domain(quick, quick_store, "fan", clips(range(20, 24)), domain="night")
    bank = anomaly_bank(quick, quick_store, "fan")
    assert len(bank.references["statistics"]) <= 40
    assert bank.domains["night"] == 4
    assert bank.domains["source"] < before.domains["source"]
    assert any("the bank is full" in line for line in report.notes)
    assert report.added_clips == 4  # the old ones it gave up are not counted against them
    assert report.total_clips == len(bank.clips)
    numbers = np.unique(bank.references["statistics"].clips // anomaly.PIECES_PER_CLIP)
    assert numbers.tolist() == list(range(len(bank.clips)))
    of_clip = [d for c in numbers for d in {bank.references["statistics"].domains[i] for i in
               np.flatnonzero(bank.references["statistics"].clips // anomaly.PIECES_PER_CLIP == c)}]  # fmt: skip
    assert of_clip == [record.label for record in bank.clips]


def test_no_domain_is_lost_whose_share_is_smaller_than_its_clips():
    """Its clips did not fit, so it went without a word; of ten such domains nothing was left."""
    owner = np.repeat(np.arange(7), [4, 4, 4, 4, 12, 14, 2])
    points = np.random.default_rng(0).standard_normal((len(owner), 3))
    domains = ["source"] * 4 + ["a", "b", "c"]
    found = reduced(points, owner, domains, 36)
    assert {domains[clip] for clip in found.kept} == {"source", "a", "b", "c"}
    assert np.isin(owner, found.kept).sum() <= 36


def test_clips_that_find_no_room_change_nothing(quick, quick_store, monkeypatch):
    """Old clips were given up for a new one that was given up as well, and the report said "-5 clips added"."""
    monkeypatch.setattr(anomaly, "MAX_ROWS", 40)

    def clips(seeds, seconds=3):
        return [clip_of_samples(f"{seed}.wav", machine(seconds, seed), ANOMALY_CLIPS) for seed in seeds]

    enroll_domain(quick, quick_store, "fan", clips(range(10)))
    with pytest.raises(EnrolmentError, match="no clip of domain 'long' would find room"):
        enroll_domain(quick, quick_store, "fan", clips([50], 30), domain="long")
    copy_of_all = np.concatenate([machine(3, 0), machine(3, 0)])
    enrolled = quick_store.active_version("fan", "anomaly")
    monkeypatch.setattr(anomaly, "_reduction", lambda *_: Reduction((0, 1, 2), {"source": 8}, 1.0))
    with pytest.raises(EnrolmentError, match="what is enrolled covers these clips"):
        enroll_domain(quick, quick_store, "fan", [clip_of_samples("x", copy_of_all, ANOMALY_CLIPS)], domain="source")
    assert quick_store.active_version("fan", "anomaly") == enrolled == 1


def test_labels_are_never_dropped(quick, quick_store, monkeypatch):
    from tests.edged.references.test_gate import label

    enroll_domain(quick, quick_store, "fan", [clip_of_samples(f"{s}", machine(3, s), ANOMALY_CLIPS) for s in range(6)])
    label(quick, quick_store, machine(3, 60, fault=True))
    monkeypatch.setattr(anomaly, "MAX_ROWS", 20)
    enroll_domain(quick, quick_store, "fan", [clip_of_samples("x", machine(3, 30), ANOMALY_CLIPS)], domain="night")
    bank = anomaly_bank(quick, quick_store, "fan")
    assert len(bank.clips) < 7
    assert [one.event_id for one in bank.labelled] == ["e-1"]


def test_points_are_scaled_by_spread_and_weight():
    from edged.references.joint import JointSpace

    rng = np.random.default_rng(0)
    vectors = {
        "a": rng.standard_normal((200, 4)) * 100,
        "b": rng.standard_normal((200, 9)),
        "unused": np.zeros((200, 1)),
    }
    points = JointSpace.of(vectors, {"a": 2.0, "b": 1.0}).points(vectors)
    assert points.shape == (200, 13)
    assert np.sqrt(points[:, :4].var(axis=0).sum()) == pytest.approx(2.0)
    assert np.sqrt(points[:, 4:].var(axis=0).sum()) == pytest.approx(1.0)
