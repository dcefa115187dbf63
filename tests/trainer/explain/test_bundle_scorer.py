"""A fitted bundle taken apart gives the score that the product gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edged.embed.bundle import load_bundle
from edged.errors import EnrolmentError, UsageError
from edged.features.anomaly import clip_segments
from tests.trainer.explain.tiny import sound, tiny_bundle
from trainer.evaluate.anomaly import clip_scores, fit, product_vectors
from trainer.explain.bundle_scorer import fit_bundle, stacked

NORMAL = [sound(k) for k in range(5)]


def test_contributions_add_up_to_the_product_s_score(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    fitted = fit_bundle(bundle, NORMAL)
    clip = sound(8, seconds=2.3, tone=(0.5, 1.0))
    vectors = stacked(fitted.embedder.embed(clip_segments(clip, fitted.spec)))
    total = sum(fitted.contribution(part, vectors[part.name]) for part in fitted.scorer.parts)
    vectors_of = product_vectors(bundle)
    expected = clip_scores(fit([vectors_of(c) for c in NORMAL], bundle.manifest.representations), [vectors_of(clip)])
    assert len(total) > 1
    assert total.mean() == pytest.approx(expected[0], rel=1e-12)


def test_the_network_s_own_image_scores_as_its_embedding_does(tmp_path: Path) -> None:
    fitted = fit_bundle(tiny_bundle(tmp_path / "b"), NORMAL)
    (segment,) = clip_segments(sound(8), fitted.spec)
    (part,) = fitted.parts("model")
    own = fitted.network_scores(segment)(segment.features["log_mel"][np.newaxis])
    vectors = stacked(fitted.embedder.embed([segment]))
    assert own[0] == fitted.contribution(part, vectors["embedding"])[0]


def test_hidden_is_the_normal_level_of_every_band(tmp_path: Path) -> None:
    fitted = fit_bundle(tiny_bundle(tmp_path / "b"), NORMAL)
    images = [s.features["log_mel"] for clip in NORMAL for s in clip_segments(clip, fitted.spec)]
    np.testing.assert_allclose(fitted.hidden, np.mean(images, axis=(0, 1))[np.newaxis], atol=1e-4)


def test_hidden_is_nothing_where_the_temporal_mean_is_removed(tmp_path: Path) -> None:
    fitted = fit_bundle(tiny_bundle(tmp_path / "b", "spectrogram"), NORMAL)
    np.testing.assert_allclose(fitted.hidden, 0.0, atol=1e-4)


def test_a_network_of_no_weight_has_no_image_to_explain(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    specs = tuple(
        s.model_copy(update={"weight": float(s.source == "features")}) for s in bundle.manifest.representations
    )
    unused = replace(bundle, manifest=bundle.manifest.model_copy(update={"representations": specs}))
    assert fit_bundle(unused, NORMAL).image_name is None


def test_clips_may_come_one_by_one_and_must_be_two(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", None)
    assert len(fit_bundle(bundle, iter(NORMAL)).scorer.normal_scores) == 5
    for clips in ([], NORMAL[:1]):
        with pytest.raises(EnrolmentError, match="too few"):
            fit_bundle(bundle, clips)


def test_a_keyword_bundle_is_refused() -> None:
    shipped = load_bundle(Path(__file__).parents[3] / "edged" / "bundles" / "keyword")
    with pytest.raises(UsageError, match="a bundle for keywords"):
        fit_bundle(shipped, NORMAL)
