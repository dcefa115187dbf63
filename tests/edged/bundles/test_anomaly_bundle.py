"""The shipped anomaly bundle: verified, complete, and useful on a machine it never saw."""

from pathlib import Path

import numpy as np
import pytest

import edged
from edged.decide.thresholds import alarm_threshold
from edged.embed.bundle import Bundle, load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.anomaly import AnomalySpec, segment_features
from trainer.data.clips import data_directory, read_tree
from trainer.data.machine_kinds import Fault
from trainer.data.machine_synth import draw_plant, render_clip
from trainer.evaluate.anomaly import clip_scores, fit, product_vectors
from trainer.evaluate.auc import pairwise_wins

DIRECTORY = Path(edged.__file__).parent / "bundles" / "anomaly"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(DIRECTORY)


def test_front_end_and_representations_fit(bundle: Bundle) -> None:
    spec = AnomalySpec.model_validate(bundle.manifest.features)
    assert spec.digest() == bundle.manifest.features_digest
    for representation in bundle.manifest.representations:
        if representation.source == "features":
            assert spec.shape(representation.name) == (representation.dim,)


def test_it_is_small_and_close_to_torch(bundle: Bundle) -> None:
    assert sum(path.stat().st_size for path in DIRECTORY.iterdir()) < 8e6
    assert bundle.manifest.parity["onnx_vs_torch_max_relative_error"] <= 1e-4


def test_the_card_names_data_licences_and_limits() -> None:
    card = (DIRECTORY / "card.md").read_text(encoding="utf-8")
    for word in ("MIMII", "CC BY-SA 4.0", "Share-alike", "ESC-10", "CC BY 3.0", "Speech Commands", "Limits"):
        assert word in card


def test_silence_gives_finite_vectors(bundle: Bundle) -> None:
    vectors = product_vectors(bundle)(np.zeros(160_000, np.float32))
    assert all(np.isfinite(value).all() for value in vectors.values())


def test_embeddings_do_not_depend_on_level(bundle: Bundle) -> None:
    clip = render_clip(draw_plant(1, 8)[0], (0,))
    vectors_of = product_vectors(bundle)
    quiet, loud = vectors_of(clip * np.float32(0.1)), vectors_of(clip)
    for name, value in loud.items():
        np.testing.assert_allclose(quiet[name], value, rtol=0.02, atol=0.02 * np.abs(value).max())


def test_an_unseen_machine_is_learned_from_a_dozen_clips(bundle: Bundle) -> None:
    (item,) = draw_plant(1, seed=4)
    vectors_of = product_vectors(bundle)
    scorer = fit([vectors_of(render_clip(item, (0, k))) for k in range(12)], bundle.manifest.representations)
    threshold = alarm_threshold(scorer.normal_scores)
    normal = clip_scores(scorer, [vectors_of(render_clip(item, (1, k))) for k in range(3)])
    broken = clip_scores(scorer, [vectors_of(render_clip(item, (2,), fault=Fault("bearing", 1.0)))])
    assert normal.max() < threshold < broken.min()


def test_the_front_end_gives_what_the_network_needs(bundle: Bundle) -> None:
    spec = AnomalySpec.model_validate(bundle.manifest.features)
    features = segment_features(np.ones(16_000, np.float32), spec)
    assert set(spec.inputs) <= set(features)
    assert OnnxEmbedder(bundle).provider in {"CPUExecutionProvider", "none"}


def test_the_real_fan_is_separated(bundle: Bundle) -> None:
    """Half of the normal clips of the evaluation fan enrolled, at one level, in the order of their recording."""
    fan = data_directory() / "machines" / "mimii_fan_id00"
    if not fan.is_dir():
        pytest.skip(f"no recordings at {fan}; set EDGED_DATA")
    vectors_of = product_vectors(bundle)
    normal, broken = ([vectors_of(clip) for clip in read_tree(fan / side)] for side in ("normal", "abnormal"))
    scorer = fit(normal[::2], bundle.manifest.representations)
    wins = pairwise_wins(clip_scores(scorer, normal[1::2]), clip_scores(scorer, broken))
    assert wins.mean() > 0.85
