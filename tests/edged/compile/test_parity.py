"""The gate: what it must refuse, on embeddings that are wrong in known ways."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edged.assembly import open_bundle
from edged.compile.judges import probe_judge
from edged.compile.parity import Judge, Parity, Verdict, compare, row_cosines, verdict
from edged.compile.reference import machine_signals, reference_clips, spoken_signal
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AcceleratorError
from edged.flow import Detection


@pytest.fixture(scope="module", params=["anomaly", "keyword"])
def case(request):
    """(bundle, embeddings of the reference clips, the bank made of them)."""
    bundle = open_bundle(request.param)
    embedder = OnnxEmbedder(bundle)
    clips = [embedder.embed(clip) for clip in reference_clips(bundle)]
    return bundle, [e for clip in clips for e in clip], probe_judge(bundle, embedder, clips)


def changed(embeddings, change):
    """What the network gave, changed; the statistics stay."""
    rng = np.random.default_rng(0)

    def one(name, values):
        return np.asarray(change(values, rng), np.float32) if name in {"speech", "embedding"} else values

    return [replace(e, vectors={name: one(name, v) for name, v in e.vectors.items()}) for e in embeddings]


def test_the_same_embeddings_pass_at_any_precision(case):
    bundle, embeddings, judge = case
    parity = compare(bundle, embeddings, embeddings, "fp32", [judge])
    assert parity.failures == []
    assert parity.as_figures()["least_cosine"] > 0.9999999
    assert parity.as_figures()["agreement"] == parity.as_figures()["stored_agreement"] == 1.0


def test_what_fp16_rounding_leaves_passes(case):
    bundle, embeddings, judge = case
    rounded = changed(embeddings, lambda v, rng: v * (1 + 4e-4 * rng.standard_normal(v.shape)))
    assert compare(bundle, embeddings, rounded, "fp16", [judge]).failures == []


@pytest.mark.parametrize(
    "change",
    [
        lambda v, _rng: v * 1.05,
        lambda v, rng: v + 0.3 * np.abs(v).max() * rng.standard_normal(v.shape),
        lambda v, _rng: v[..., ::-1],
        lambda v, _rng: np.zeros_like(v),
        lambda v, _rng: np.full_like(v, np.nan),
        lambda v, _rng: -v,
    ],
    ids=["scaled", "noisy", "shuffled", "zero", "nan", "negated"],
)
def test_wrong_embeddings_are_refused(case, change):
    bundle, embeddings, _ = case
    assert compare(bundle, embeddings, changed(embeddings, change), "fp16").failures


def test_one_wrong_segment_of_many_is_enough(case):
    bundle, embeddings, _ = case
    wrong = changed(embeddings[3:4], lambda v, _rng: v[..., ::-1])
    assert compare(bundle, embeddings, [*embeddings[:3], *wrong, *embeddings[4:]], "fp16").failures


def test_noise_that_moves_decisions_fails_by_the_bank_alone(case):
    bundle, embeddings, judge = case
    noisy = changed(embeddings, lambda v, rng: v + 0.6 * np.abs(v).max() * rng.standard_normal(v.shape))
    (verdict,) = compare(bundle, embeddings, noisy, "int8", [judge]).verdicts
    assert not verdict.is_good


def test_the_reference_bank_decides_something(case):
    """Or agreement would mean nothing: some clips are alarms and some not; the enrolled words are found."""
    bundle, embeddings, judge = case
    monitor = judge.monitor()
    outcomes = [*(monitor.accept(e) for e in embeddings), monitor.finish()]
    if bundle.manifest.kind == "anomaly":
        above = [s.anomaly_score > s.threshold for o in outcomes for s in o.scored]
        assert 2 <= sum(above) <= len(above) - 2
    else:
        assert {d.keyword for o in outcomes for d in o.detections} >= {"maintenance", "attention", "conveyor"}


class Heard:
    """A keyword monitor that finds what it is given."""

    name = "keyword"

    def accept(self, embedding):
        return SimpleNamespace(detections=[embedding])

    def finish(self):
        return SimpleNamespace(detections=[])


def test_a_match_counts_for_one_word_only():
    """Two candidates of one word close together were both found again in a single one: agreement 2.0."""
    twice = [Detection("keyword", 0, n, onset_sample=n, offset_sample=None, score=-0.5, threshold=-1.0, keyword="stop")
             for n in (100, 200)]  # fmt: skip
    judge = Judge("hall/keyword", Heard)
    assert verdict(judge, twice, twice).agreement == 1.0
    assert verdict(judge, twice, twice[:1]).agreement == 0.5
    assert verdict(judge, twice[:1], twice).agreement == 0.5


def test_the_worst_bank_counts():
    good, bad = Verdict("a", 0.0, 1.0), Verdict("b", 0.0, 0.9)
    assert Parity("fp16", 1.0, 0.0, 5, (good, bad)).failures == [
        "b: scores differ by 0.000, 90.0% of the decisions and 100.0% of the stored ones hold"
    ]


def test_missing_embeddings_are_refused(case):
    bundle, embeddings, _ = case
    for actual in (embeddings[1:], []):
        with pytest.raises(AcceleratorError):
            compare(bundle, embeddings, actual, "fp16")


def test_cosines_of_rows():
    a = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [np.nan, 1.0]])
    b = np.array([[2.0, 0.0], [0.0, 0.0], [1.0, -1.0], [1.0, 1.0]])
    assert row_cosines(a, b).tolist() == [1.0, 1.0, 0.0, -1.0]


def test_reference_sound_is_the_same_every_time_and_never_silent():
    for first, second in zip([*machine_signals(), spoken_signal()], [*machine_signals(), spoken_signal()], strict=True):
        assert np.array_equal(first, second)
        assert first.dtype == np.float32
        assert 1e-4 < np.sqrt(np.mean(np.square(first))) < 0.5
