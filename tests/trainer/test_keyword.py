"""`edged-train keyword` from end to end, small: both kinds of embedder become bundles that the runtime loads."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from edged.assembly import open_bundle
from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AudioError, BundleError, ConfigError, UsageError
from edged.features.keyword import KeywordSpec
from edged.frontend import speech_rows
from edged.pipeline import embed_signal
from trainer.data.speech_corpus import babble_noises, machine_noises, write_shard
from trainer.data.speech_synth import available_engines
from trainer.evaluate.spotting import Spoken, Spotted, at_limit, best_f1, matched, operating_points
from trainer.interruption import TrainingStopped
from trainer.keyword import STAGES, GeneralRun, export_general, train_keyword
from trainer.keyword_batches import CropDataset
from trainer.keyword_bundle import Decision, write_keyword_bundle
from trainer.keyword_bundle import embed_signal as embed_in_torch
from trainer.keyword_recipe import GeneralRecipe, KeywordTrainingOptions, SiteRecipe, load_recipe
from trainer.keyword_run import CorpusRun, speech_material
from trainer.keyword_site import background_rows
from trainer.losses.running_speech import RunningSpeechObjective
from trainer.losses.segment_objective import SegmentObjective
from trainer.models.speech_trunk import SpeechTrunk
from trainer.models.temporal_resnet import TemporalResNet
from trainer.warm_start import started_network

RNG = np.random.default_rng(0)
TINY = GeneralRecipe(
    width=8, shards=1, scenes_per_shard=4, first_epochs=1, max_epochs=1, batches_per_epoch=2, batch_size=2,
    crop_frames=64, diphones=50, background_s=3.0,
)  # fmt: skip
NEEDS_SPEECH = pytest.mark.skipif(
    "espeak-ng" not in available_engines(), reason="espeak-ng is not installed: apt install espeak-ng"
)


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
    assert len(speech_rows(bundle)) > 30
    return bundle


@pytest.fixture
def site(tmp_path):
    """Two clips of each of two words, and a recording without them."""
    for word, pitch in (("up", 0.1), ("down", 0.3)):
        (tmp_path / "shots" / word).mkdir(parents=True)
        for take in range(2):
            sound = 0.1 * np.sin(np.arange(6400) * pitch * (1 + 0.1 * take)) * np.hanning(6400)
            sf.write(tmp_path / "shots" / word / f"{take}.wav", np.pad(sound, 3000), 16_000)
    (tmp_path / "talk").mkdir()
    sf.write(tmp_path / "talk" / "noise.wav", RNG.standard_normal(24_000) * 0.05, 16_000)
    return {"shots": tmp_path / "shots", "background": tmp_path / "talk"}


def stopped_and_resumed(monkeypatch, objective, step, options):
    """The bundle of a run that is stopped after a step and resumed."""
    forward, steps = objective.forward, iter(range(1, 1000))

    def interrupted(self, network, batch):
        if next(steps) == step:
            signal.raise_signal(signal.SIGINT)
        return forward(self, network, batch)

    with monkeypatch.context() as patch:
        patch.setattr(objective, "forward", interrupted)
        with pytest.raises(TrainingStopped):
            train_keyword(options)
    return train_keyword(replace(options, resume=True))


def test_a_site_s_run_goes_on_from_any_step(site, tmp_path, monkeypatch):
    """Shuffled anew by whatever the generators held, a resumed epoch saw some segments twice and others never."""
    recipe = SiteRecipe(max_epochs=2, batch_size=32, n_centres=2, width=2)
    whole = train_keyword(replace(options_of(tmp_path, recipe, **site), run_directory=tmp_path / "whole"))
    options = replace(options_of(tmp_path, recipe, **site), out=tmp_path / "resumed")
    resumed = stopped_and_resumed(monkeypatch, SegmentObjective, 3, options)
    assert resumed.manifest.files["model.onnx"] == whole.manifest.files["model.onnx"]


@pytest.fixture
def spoken_once(monkeypatch):
    """The same shards for every run: what espeak-ng says depends on what it said before in the process."""
    written = {}

    def write_once(path, *arguments):
        if path.name not in written:
            write_shard(path, *arguments)
            written[path.name] = path.read_bytes()
        path.write_bytes(written[path.name])

    monkeypatch.setattr("trainer.keyword_run.write_shard", write_once)


@NEEDS_SPEECH
@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.usefixtures("spoken_once")
def test_a_general_run_goes_on_from_any_step(tmp_path, monkeypatch, step):
    """Resumed runs began again with the crops of the first epoch."""
    recipe = TINY.model_copy(update={"first_epochs": 2, "batches_per_epoch": 3})
    whole = train_keyword(replace(options_of(tmp_path, recipe), run_directory=tmp_path / "whole"))
    options = replace(options_of(tmp_path, recipe), out=tmp_path / "resumed")
    resumed = stopped_and_resumed(monkeypatch, RunningSpeechObjective, step, options)
    assert resumed.manifest.files["model.onnx"] == whole.manifest.files["model.onnx"]


def test_crops_differ_from_epoch_to_epoch_and_from_stage_to_stage():
    """The third stage began with the crops of the first: both names have five letters."""
    frames = np.arange(600, dtype=np.float16)[:, None]
    labels = dict.fromkeys(("phone", "neighbour", "second_half", "word", "position"), np.arange(600, dtype=np.int16))
    shards = [{"frames": frames, **labels}, {"frames": frames[:64], **{n: v[:64] for n, v in labels.items()}}]
    places = {}
    for stage in range(len(STAGES)):
        crops = CropDataset(shards, 64, 20, (0, stage))
        for epoch in range(2):
            drawn = [crops[epoch, index] for index in range(len(crops))]
            assert all(torch.equal(crop["frames"][:, 0].long(), crop["phone"]) for crop in drawn)
            places[stage, epoch] = tuple(int(crop["word"][0]) for crop in drawn)
    assert len(set(places.values())) == 6
    with pytest.raises(ConfigError, match="holds no crop of 65"):
        CropDataset(shards, 65, 20, (0, 0))


@NEEDS_SPEECH
def test_shards_of_another_seed_are_not_kept(tmp_path):
    """A start that was stopped before its first checkpoint left its shards to the next one, whatever they held."""

    def shard(seed):
        options = options_of(tmp_path, TINY, seed=seed)
        run = GeneralRun(options, TINY, KeywordSpec(), SpeechTrunk(8))
        (path,) = run.corpus("corpus", 1, speech_material(None))
        return path.stat().st_mtime_ns, np.load(path)["frames"]

    first, again, other = shard(0), shard(0), shard(1)
    assert first[0] == again[0]
    assert not np.array_equal(first[1], other[1])


def test_folders_that_nothing_is_learned_from_are_refused(site, tmp_path):
    """They were ignored without a word: an embedder of synthetic speech alone came of a misspelt --data."""
    with pytest.raises(UsageError, match="--shots"):
        train_keyword(options_of(tmp_path, TINY, shots=site["shots"]))
    with pytest.raises(UsageError, match="--data"):
        train_keyword(options_of(tmp_path, SiteRecipe(), data=tmp_path, **site))
    with pytest.raises(AudioError, match="no such directory"):
        train_keyword(options_of(tmp_path, TINY, data=tmp_path / "absent"))
    with pytest.raises(AudioError, match="layout of the data pack"):
        train_keyword(options_of(tmp_path, TINY, data=tmp_path))


def test_only_as_much_background_is_embedded_as_is_kept(monkeypatch):
    """An hour of it took the memory of an hour's activations, for a minute and a half of rows."""
    spec = KeywordSpec(context_left_frames=16, context_right_frames=16)
    network = TemporalResNet(crop=(16, 16), width=2).eval()
    background = [(RNG.standard_normal(n) * 0.05).astype(np.float32) for n in (40_000, 64_000, 500)]
    whole = np.concatenate([embed_in_torch(network, samples, spec) for samples in background])
    np.testing.assert_allclose(background_rows(network, background, spec, 4.0), whole[:250], atol=1e-6)
    np.testing.assert_allclose(background_rows(network, background, spec, 60.0), whole, atol=1e-6)
    lengths = []

    def noted(_network, samples, _spec, _seen):
        lengths.append(len(samples))
        return whole[: len(samples) // 256]

    monkeypatch.setattr("trainer.keyword_site.embed_signal", noted)
    background_rows(network, background, spec, 4.0)
    assert lengths[0] == 40_000
    assert lengths[1] < 45_000


def test_an_embedder_of_one_site(site, tmp_path):
    recipe = SiteRecipe(max_epochs=1, batch_size=32, n_centres=2, width=2)
    with pytest.raises(UsageError, match="--background"):
        train_keyword(options_of(tmp_path, recipe, shots=tmp_path / "shots"))
    train_keyword(options_of(tmp_path, recipe, **site))
    bundle = check_bundle(tmp_path / "bundle")
    assert bundle.manifest.training["words"] == ["down", "up"]
    with pytest.raises(UsageError, match="holds a run already"):
        train_keyword(options_of(tmp_path, recipe, **site))
    resumed = train_keyword(options_of(tmp_path, recipe, resume=True, **site))
    assert resumed.manifest.files["model.onnx"] == bundle.manifest.files["model.onnx"]


def test_an_embedder_of_one_site_from_the_shipped_network(site, tmp_path):
    shipped = open_bundle("keyword").manifest
    recipe = SiteRecipe(max_epochs=1, background_s=2.0)
    options = options_of(tmp_path, recipe, start_from=Path("keyword"), **site)
    train_keyword(options)
    trained = check_bundle(options.out)
    assert trained.manifest.features_digest == shipped.features_digest
    assert trained.manifest.model.inputs == shipped.model.inputs


@NEEDS_SPEECH
def test_a_general_embedder_of_synthetic_speech(tmp_path, monkeypatch):
    recipe = TINY.model_copy(update={"machine_noises": 2})
    train_keyword(options_of(tmp_path, recipe, seed=3))
    bundle = check_bundle(tmp_path / "bundle")
    assert bundle.manifest.training["synthesisers"][0] == "espeak-ng"
    assert bundle.manifest.training["noise_sources"] == []  # synthetic machines are nobody's recordings
    again = export_general(replace(options_of(tmp_path, TINY), out=tmp_path / "exported"))
    assert again.manifest.files["model.onnx"] == bundle.manifest.files["model.onnx"]
    assert again.manifest.training == bundle.manifest.training  # the seed was that of the export, not of the run
    heard = []
    monkeypatch.setattr(CorpusRun, "bundle", lambda _, material: heard.append(material))
    export_general(replace(options_of(tmp_path, TINY), out=tmp_path / "exported"))
    assert len(heard[0].noises) == 2  # its background is heard through the noises of the recipe, as the training's


@NEEDS_SPEECH
@pytest.mark.usefixtures("spoken_once")
def test_the_moving_average_is_exported_where_the_recipe_asks_for_it(tmp_path):
    options = options_of(tmp_path, TINY.model_copy(update={"ema_decay": 0.9}))
    assert options.settings("first", 1).ema_decay == 0.9
    averaged = train_keyword(options)
    again = export_general(replace(options, out=tmp_path / "exported"))
    plain = train_keyword(replace(options_of(tmp_path, TINY), run_directory=tmp_path / "plain"))
    models = [bundle.manifest.files["model.onnx"] for bundle in (averaged, again, plain)]
    assert models[0] == models[1] != models[2]


def test_one_process_trains_keywords(tmp_path, monkeypatch):
    """Several paired the scales of different losses, until one waited for the others in vain."""
    monkeypatch.setattr("trainer.keyword.counted_processes", lambda *_: (2, 1))
    with pytest.raises(UsageError, match="by one process"):
        train_keyword(options_of(tmp_path, TINY))


def test_runs_that_began_without_an_average_go_on(tmp_path):
    assert "ema_decay" not in options_of(tmp_path, TINY).config()["recipe"]
    assert load_recipe("keyword").ema_decay == load_recipe("keyword-thesis").ema_decay == 0.0


@NEEDS_SPEECH
def test_a_training_may_start_from_a_bundle(tmp_path):
    scratch = train_keyword(options_of(tmp_path / "scratch", TINY))
    noisy = TINY.model_copy(
        update={"snr_db": (-5.0, 0.0), "machine_noises": 2, "babble_noises": 1, "learning_rate": 1e-9}
    )
    options = options_of(tmp_path / "further", noisy, start_from=scratch.directory)
    signal = (RNG.standard_normal(20_000) * 0.05).astype(np.float32)
    rows = [
        np.concatenate([e.vectors["speech"] for e in embed_signal(signal, bundle, OnnxEmbedder(bundle))])
        for bundle in (scratch, train_keyword(options))
    ]
    similarity = np.sum(rows[0] * rows[1], axis=1)
    assert np.median(similarity) > 0.9  # statistics of other sound, but the weights that were there


def test_a_training_starts_only_from_a_network_like_its_own(tmp_path, site):
    bundle = write_keyword_bundle(
        tmp_path / "other", TemporalResNet(crop=(16, 16), width=4).eval(),
        KeywordSpec(context_left_frames=16, context_right_frames=16), np.eye(128, dtype=np.float32),
        bundle_id="t", version="1", decision=Decision(), training={}, card="",
    )  # fmt: skip
    with pytest.raises(BundleError, match="front end"):
        started_network(bundle.directory, KeywordSpec(), np.zeros((224, 64), dtype=np.float32))


@pytest.mark.parametrize("n_clips", [0, 3])
def test_noises_of_machines_and_of_many_voices(n_clips):
    machines = machine_noises(np.random.default_rng(0), n_clips)
    voices = babble_noises(np.random.default_rng(0), speech_material(None), n_clips)
    assert len(machines) == n_clips
    for noise in (*machines, *voices):
        assert np.isfinite(noise).all()
        assert 0.001 < float(np.std(noise)) < 0.5


def test_exporting_needs_a_checkpoint_of_a_general_run(tmp_path):
    with pytest.raises(UsageError, match=r"no last\.ckpt"):
        export_general(options_of(tmp_path, GeneralRecipe(width=8)))
    with pytest.raises(UsageError, match="general recipe"):
        export_general(options_of(tmp_path, SiteRecipe()))


def test_the_shipped_bundle_is_chunked_exactly_as_one_pass():
    network = SpeechTrunk(width=8, dim=4).eval()
    from edged.features.keyword import FRAMES, KeywordFeatures
    from edged.flow import Block

    spec, signal = KeywordSpec(), (RNG.standard_normal(20_000) * 0.05).astype(np.float32)
    assert (network.context_left, network.context_right) == (spec.context_left_frames, spec.context_right_frames)
    features = KeywordFeatures(spec)
    segments = features.push(Block(0, signal)) + features.flush()
    whole = embed_in_torch(network, signal, spec)
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


@pytest.mark.parametrize("content", [b"kind: [site", b"- a", b"kind: s\xefte", b"", b"max_epochs: 3", b"kind: [site]"])
def test_files_that_are_no_recipes_are_refused(tmp_path, content):
    """YAML that is broken, or holds a list, ended in a traceback."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_recipe(str(path))


def test_event_scores():
    truth = {"f": [Spoken("a", 1.0, 1.5), Spoken("b", 2.0, 2.5)], "g": []}
    found = {"f": [Spotted("a", 1.2, 1.5, 0.1), Spotted("b", 2.3, 2.6, 0.2)], "g": [Spotted("a", 0.0, 0.4, 0.3)]}
    assert matched(found["f"], truth["f"]) == [True, False]
    points = operating_points(found, truth)
    assert [round(p.f1, 3) for p in points] == [0.667, 0.5, 0.4]
    assert best_f1(points).limit == 0.1
    assert at_limit(points, 0.25).precision == 0.5
    assert at_limit(points, 0.05).f1 == 0.0
