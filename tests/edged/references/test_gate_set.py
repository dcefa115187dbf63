"""Sets of clips as a whole: against slow arithmetic, and on real machines that must pass without a word."""

import itertools

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples, examined
from edged.references.enroll import Terms, anomaly_bank, enroll_domain
from edged.references.gate import _judged
from edged.references.gate_domain import overlap, strength_factor
from edged.references.gate_set import (
    SetFinding,
    _spanning_tree,
    clip_of_row,
    left_out_scores,
    longest_link_cut,
    set_finding,
)
from edged.references.store import BankStore
from tests.fakes.sounds import machine


def clips(seeds, **options):
    return [clip_of_samples(f"{s}.wav", machine(3, s, **options), ANOMALY_CLIPS) for s in seeds]


def total_of_the_best_tree(points):
    """Of all trees (by their edges), the length of the shortest; slow."""
    n = len(points)
    edges = list(itertools.combinations(range(n), 2))

    def is_tree(chosen):
        group = list(range(n))
        for a, b in chosen:
            if group[a] == group[b]:
                return False
            group = [group[a] if g == group[b] else g for g in group]
        return True

    def length(chosen):
        return sum(float(np.linalg.norm(points[a] - points[b])) for a, b in chosen)

    return min(length(chosen) for chosen in itertools.combinations(edges, n - 1) if is_tree(chosen))


@pytest.mark.parametrize("seed", range(4))
def test_the_spanning_tree_is_the_shortest(seed):
    points = np.random.default_rng(seed).standard_normal((6, 3))
    links = _spanning_tree(points)
    assert sum(length for length, *_ in links) == pytest.approx(total_of_the_best_tree(points))
    assert sorted(child for *_, child in links) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("first", [0, 3, 9])
def test_the_cut_separates_two_heaps_wherever_the_walk_begins(first):
    rng = np.random.default_rng(first)
    points = np.concatenate([rng.standard_normal((6, 4)), 20 + rng.standard_normal((4, 4))])
    belongs = np.array([False] * 6 + [True] * 4)
    order = np.roll(np.arange(10), first)
    cut = longest_link_cut(points[order])
    assert cut.stands_out
    assert np.array_equal(cut.side, belongs[order]) or np.array_equal(~cut.side, belongs[order])


def test_one_heap_has_no_link_that_stands_out():
    rng = np.random.default_rng(0)
    assert not any(longest_link_cut(rng.standard_normal((12, 8))).stands_out for _ in range(20))


def test_left_out_scores_are_the_means_of_a_clips_rows(quick, quick_store):
    enroll_domain(quick, quick_store, "fan", clips(range(5)))
    bank = anomaly_bank(quick, quick_store, "fan")
    owner = clip_of_row(bank)
    for clip, score in left_out_scores(bank, range(5)).items():
        assert score == pytest.approx(
            np.mean([s for s, o in zip(bank.scorer.normal_scores, owner, strict=True) if o == clip])
        )


def test_a_domains_only_clip_has_no_score(quick, quick_store):
    enroll_domain(quick, quick_store, "fan", clips(range(5)))
    report = enroll_domain(quick, quick_store, "fan", clips([9]), domain="night")
    assert [clip.score for clip in report.clips] == [None]
    assert any("domain 'night' has only 1 clip:" in line for line in report.notes)


def test_of_few_clips_none_is_called_an_outlier(quick, quick_store):
    mixed = [*clips(range(3)), *clips([7], fault=True)]
    enroll_domain(quick, quick_store, "fan", mixed)
    bank = anomaly_bank(quick, quick_store, "fan")
    assert set_finding(quick.bundle("fan", "anomaly"), bank, range(4)).outliers == {}


def test_large_banks_are_judged_without_fitting_them_anew(quick, quick_store, monkeypatch):
    from edged.references import gate_set

    mixed = [*clips(range(9)), *clips([70], fault=True)]
    enroll_domain(quick, quick_store, "fan", mixed, terms=Terms(force=True))
    bank = anomaly_bank(quick, quick_store, "fan")
    monkeypatch.setattr(gate_set, "MAX_ROWS_REFITTED", 9)  # fewer than clips
    monkeypatch.setattr(gate_set, "bank_without", None)
    monkeypatch.setattr(gate_set, "OUTLIER", 0.2)
    assert set(set_finding(quick.bundle("fan", "anomaly"), bank, range(10)).outliers) == {9}


@pytest.mark.parametrize("most_rows", [800, 60])
def test_a_long_clip_of_something_else_is_an_outlier_however_large_the_bank(quick, quick_store, monkeypatch, most_rows):
    """Judged by its own other pieces, or in a bank too large to be fitted anew, it passed as the most normal of all."""
    from edged.references import gate_set

    monkeypatch.setattr(gate_set, "MAX_ROWS_REFITTED", most_rows)
    long = [clip_of_samples(f"{s}.wav", machine(90, s), ANOMALY_CLIPS) for s in range(5)]
    wrong = clip_of_samples("wrong.wav", machine(90, 70, fault=True), ANOMALY_CLIPS)
    report = enroll_domain(quick, quick_store, "fan", [*long, wrong], terms=Terms(dry_run=True))
    assert [clip.name for clip in report.clips if clip.verdict == "doubtful"] == ["wrong.wav"]
    assert [clip.name for clip in report.clips if clip.score == max(c.score for c in report.clips)] == ["wrong.wav"]


def test_overlap_of_the_same_sound_and_of_another(quick, quick_store):
    enroll_domain(quick, quick_store, "fan", clips(range(8)))
    bank = anomaly_bank(quick, quick_store, "fan")
    bundle = quick.bundle("fan", "anomaly")
    embedder = quick.embedder(bundle)
    from edged.references.embedding import embed_clip
    from edged.references.gate import stacked

    def vectors(**options):
        return [stacked(embed_clip(machine(3, s, **options), bundle, embedder)) for s in (50, 51)]

    same, fault = overlap(bank, vectors()), overlap(bank, vectors(fault=True))
    assert (same.nearest, same.share_below) == ("source", 1.0)
    assert fault.share_below == 0.0
    assert same.distance < 1.0 < fault.distance


def test_the_cost_for_the_old_sound_is_none_for_more_of_it_and_large_for_a_mixed_set(quick, quick_store):
    enroll_domain(quick, quick_store, "fan", clips(range(8)))
    old = anomaly_bank(quick, quick_store, "fan")
    assert strength_factor(old, old) == 1.0
    enroll_domain(quick, quick_store, "fan", clips(range(20, 26)))
    assert strength_factor(old, anomaly_bank(quick, quick_store, "fan")) == pytest.approx(1.0, abs=0.15)


REAL = ["mimii_fan_id00/normal", "mimii_fan_id00/abnormal", "bldc/healthy", "uav/normal"]


@pytest.fixture(scope="module")
def shipped():
    return Assembly(parse_config({}, "test"))


@pytest.mark.parametrize("name", REAL)
def test_no_set_of_a_real_machine_needs_force(shipped, data_dir, tmp_path, name):
    paths = sorted((data_dir / "machines" / name).rglob("*.flac"))[:12]
    with BankStore(tmp_path) as store:
        report = enroll_domain(shipped, store, "m", examined(paths, ANOMALY_CLIPS), terms=Terms(dry_run=True))
    assert (report.accepted, report.doubts) == (True, ())


def test_recordings_of_a_fan_among_those_of_drones_are_found(shipped, data_dir, tmp_path):
    drones = sorted((data_dir / "machines" / "uav" / "normal").rglob("*.flac"))[:9]
    fan = sorted((data_dir / "machines" / "mimii_fan_id00" / "normal").rglob("*.flac"))
    with BankStore(tmp_path) as store:
        one, three = (
            enroll_domain(shipped, store, "m", examined([*drones, *fan[:n]], ANOMALY_CLIPS), terms=Terms(dry_run=True))
            for n in (1, 3)
        )
    assert [clip.name for clip in one.clips if clip.verdict == "doubtful"] == [fan[0].name]
    assert [clip.name for clip in three.clips if clip.verdict == "doubtful"] == [path.name for path in fan[:3]]
    assert ["two kinds of sound: 3 clips" in doubt for doubt in three.doubts] == [True]


def test_a_clip_that_only_stands_apart_is_shown_and_needs_no_force():
    judged = _judged(clips([3])[0], 0, SetFinding({0: 1.5}, {}, apart={0: 1.4}))
    assert (judged.verdict, judged.reason) == ("ok", "stands apart: 1.4 times the threshold by the other clips")
