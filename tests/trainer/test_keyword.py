"""`edged-train keyword` from end to end, small: both kinds of embedder become bundles that the runtime loads."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import ConfigError, UsageError
from edged.pipeline import embed_signal
from trainer.data.speech_synth import available_engines
from trainer.evaluate.spotting import Spoken, Spotted, at_limit, best_f1, matched, operating_points
from trainer.keyword import export_general, train_keyword
from trainer.keyword_bundle import embed_signal as embed_in_torch
from trainer.keyword_recipe import GeneralRecipe, KeywordTrainingOptions, SiteRecipe, load_recipe

RNG = np.random.default_rng(0)


def options_of(tmp_path, recipe, **more):
    return KeywordTrainingOptions(
        tmp_path / "bundle", recipe, tmp_path / "run", progress=False, accelerator="cpu", **more
    )


def check_bundle(directory):
    bundle = load_bundle(directory)
    signal = (RNG.standard_normal(12_345) * 0.05).astype(np.float32)
    rows = [e.vectors["speech"] for e in embed_signal(signal, bundle, OnnxEmbedder(bundle))]
    assert np.isfinite(np.concatenate(rows)).all()
    assert bundle.manifest.parity["onnx_vs_torch_max_relative_error"] <= 1e-4
    assert len(bundle.calibration["background"]) > 30
    return bundle


def test_an_embedder_of_one_site(tmp_path):
    for word, pitch in (("up", 0.1), ("down", 0.3)):
        (tmp_path / "shots" / word).mkdir(parents=True)
        for take in range(2):
            sound = 0.1 * np.sin(np.arange(6400) * pitch * (1 + 0.1 * take)) * np.hanning(6400)
            sf.write(tmp_path / "shots" / word / f"{take}.wav", np.pad(sound, 3000), 16_000)
    (tmp_path / "talk").mkdir()
    sf.write(tmp_path / "talk" / "noise.wav", RNG.standard_normal(24_000) * 0.05, 16_000)
    recipe = SiteRecipe(max_epochs=1, batch_size=32, n_centres=2, width=2)
    with pytest.raises(UsageError, match="--background"):
        train_keyword(options_of(tmp_path, recipe, shots=tmp_path / "shots"))
    train_keyword(options_of(tmp_path, recipe, shots=tmp_path / "shots", background=tmp_path / "talk"))
    bundle = check_bundle(tmp_path / "bundle")
    assert bundle.manifest.training["words"] == ["down", "up"]
    given = {"shots": tmp_path / "shots", "background": tmp_path / "talk"}
    with pytest.raises(UsageError, match="holds a run already"):
        train_keyword(options_of(tmp_path, recipe, **given))
    resumed = train_keyword(options_of(tmp_path, recipe, resume=True, **given))
    assert resumed.manifest.files["model.onnx"] == bundle.manifest.files["model.onnx"]


@pytest.mark.skipif("espeak-ng" not in available_engines(), reason="espeak-ng is not installed: apt install espeak-ng")
def test_a_general_embedder_of_synthetic_speech(tmp_path):
    recipe = GeneralRecipe(
        width=8, shards=1, scenes_per_shard=4, first_epochs=1, max_epochs=1, batches_per_epoch=2, batch_size=2,
        crop_frames=64, diphones=50, background_s=3.0,
    )  # fmt: skip
    train_keyword(options_of(tmp_path, recipe))
    bundle = check_bundle(tmp_path / "bundle")
    assert bundle.manifest.training["synthesisers"][0] == "espeak-ng"
    again = export_general(replace(options_of(tmp_path, recipe), out=tmp_path / "exported"))
    assert again.manifest.files["model.onnx"] == bundle.manifest.files["model.onnx"]


def test_exporting_needs_a_checkpoint_of_a_general_run(tmp_path):
    with pytest.raises(UsageError, match=r"no last\.ckpt"):
        export_general(options_of(tmp_path, GeneralRecipe(width=8)))
    with pytest.raises(UsageError, match="general recipe"):
        export_general(options_of(tmp_path, SiteRecipe()))


def test_the_shipped_bundle_is_chunked_exactly_as_one_pass():
    from trainer.models.speech_trunk import SpeechTrunk

    network = SpeechTrunk(width=8, dim=4).eval()
    from edged.features.keyword import FRAMES, KeywordFeatures, KeywordSpec
    from edged.flow import Block

    spec, signal = KeywordSpec(), (RNG.standard_normal(20_000) * 0.05).astype(np.float32)
    assert (network.context_left, network.context_right) == (spec.context_left_frames, spec.context_right_frames)
    features = KeywordFeatures(spec)
    segments = features.push(Block(0, signal)) + features.flush()
    whole = embed_in_torch(network, signal, spec)
    import torch

    from trainer.keyword_bundle import UnitRows

    with torch.no_grad():
        pieces = [UnitRows(network)(torch.from_numpy(s.features[FRAMES])[None])[0].numpy() for s in segments]
    np.testing.assert_allclose(np.concatenate(pieces)[: len(whole)], whole, atol=1e-5)


def test_recipes():
    assert load_recipe("keyword").kind == "general"
    assert load_recipe("keyword-thesis", max_epochs=3).max_epochs == 3
    with pytest.raises(ConfigError, match="keyword-thesis"):
        load_recipe("nonsense")
    with pytest.raises(ConfigError, match="max_epochs"):
        load_recipe("keyword", max_epochs=0)


def test_event_scores():
    truth = {"f": [Spoken("a", 1.0, 1.5), Spoken("b", 2.0, 2.5)], "g": []}
    found = {"f": [Spotted("a", 1.2, 1.5, 0.1), Spotted("b", 2.3, 2.6, 0.2)], "g": [Spotted("a", 0.0, 0.4, 0.3)]}
    assert matched(found["f"], truth["f"]) == [True, False]
    points = operating_points(found, truth)
    assert [round(p.f1, 3) for p in points] == [0.667, 0.5, 0.4]
    assert best_f1(points).limit == 0.1
    assert at_limit(points, 0.25).precision == 0.5
    assert at_limit(points, 0.05).f1 == 0.0
