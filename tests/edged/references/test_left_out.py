"""What is left out together when references judge each other: whole clips, as soon as there are three."""

import numpy as np
import pytest

from edged.decide.thresholds import alarm_threshold
from edged.embed.bundle import Manifest, RepresentationSpec, load_bundle, write_bundle
from edged.features.anomaly import AnomalySpec
from edged.references.anomaly import PIECES_PER_CLIP, fitted_bank
from edged.references.bank import ClipRecord
from edged.score.anomaly import fit_anomaly
from edged.score.references import References

DIM, PIECES, ROWS = 32, 5, 12


@pytest.fixture(scope="module", params=["density", "lof", "shrinkage"])
def bundle(request, tmp_path_factory):
    spec = AnomalySpec(inputs=(), n_mels=DIM, statistics={"mean": ("mean",)})
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=spec.segment_samples, hop_samples=spec.hop_samples,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="mean", source="features", dim=DIM, backend=request.param),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return load_bundle(write_bundle(tmp_path_factory.mktemp("bundles") / "small", manifest).directory)


def recordings(counts, seed=0):
    """Long clips (domain -> how many) that differ from each other by ten times what each of them varies."""
    rng = np.random.default_rng(seed)
    domains = [domain for domain, n in counts.items() for _ in range(n)]
    vectors = np.concatenate(
        [10 * rng.standard_normal(DIM) + rng.standard_normal((PIECES * ROWS, DIM)) for _ in domains]
    )
    pieces = np.concatenate([n * PIECES_PER_CLIP + np.repeat(np.arange(PIECES), ROWS) for n in range(len(domains))])
    records = tuple(ClipRecord(str(n), str(n), d, 200.0, "2026-01-01T00:00:00Z") for n, d in enumerate(domains))
    rows = tuple(np.repeat(domains, PIECES * ROWS).tolist())
    return records, References(vectors.astype(np.float32), rows, pieces.astype(np.int64))


def scores(bundle, references, clips):
    specs = bundle.manifest.representations
    chosen = References(references.vectors, references.domains, np.asarray(clips, np.int64))
    return fit_anomaly(specs, {"mean": chosen}).normal_scores


def test_three_long_recordings_are_left_out_whole(bundle):
    # by pieces each was judged by the rest of itself: the first new recording of the same machine raised an alarm
    records, references = recordings({"source": 4})
    bank = fitted_bank(bundle, records, {"mean": references})
    np.testing.assert_array_equal(
        bank.scorer.normal_scores, scores(bundle, references, references.clips // PIECES_PER_CLIP)
    )
    np.testing.assert_array_equal(bank.references["mean"].clips, references.clips)
    new = 10 * np.random.default_rng(9).standard_normal((20, 1, DIM))
    new = (new + np.random.default_rng(8).standard_normal((20, ROWS, DIM))).astype(np.float32)
    by_pieces = fit_anomaly(bundle.manifest.representations, {"mean": references})
    before, now = (
        np.mean([np.median(scorer.scores({"mean": rows})) > alarm_threshold(scorer.normal_scores) for rows in new])
        for scorer in (by_pieces, bank.scorer)
    )
    assert before > 0.9
    assert now <= 0.5


def test_one_or_two_long_recordings_are_judged_piece_by_piece(bundle):
    for n in (1, 2):
        records, references = recordings({"source": n})
        bank = fitted_bank(bundle, records, {"mean": references})
        np.testing.assert_array_equal(bank.scorer.normal_scores, scores(bundle, references, references.clips))
        assert np.isfinite(bank.scorer.normal_scores).all()


def test_every_domain_counts_its_own_clips(bundle):
    records, references = recordings({"source": 3, "night": 1})
    bank = fitted_bank(bundle, records, {"mean": references})
    is_source = references.is_source
    mixed = np.where(is_source, references.clips // PIECES_PER_CLIP * PIECES_PER_CLIP, references.clips)
    np.testing.assert_array_equal(bank.scorer.normal_scores, scores(bundle, references, mixed))
