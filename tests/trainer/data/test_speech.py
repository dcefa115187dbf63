"""Running speech: labels where they belong, phone times found again, synthesisers when they are installed."""

import numpy as np
import pytest
import soundfile as sf

from edged.errors import AudioError
from edged.features.keyword import KeywordSpec
from trainer.augment.channel import change_speed, random_equaliser, telephone
from trainer.augment.noise import active_power, mix_at_snr
from trainer.augment.room import in_random_room, room_response
from trainer.data.alignment import align
from trainer.data.keywords import WordClip, read_recordings, read_speech_commands, read_word_folders
from trainer.data.phones import PHONES, phone_index
from trainer.data.speech_corpus import Material, write_shard
from trainer.data.speech_crops import diphone_classes, load_shards
from trainer.data.speech_scene import Scene, frame_labels, joined_words, sped_up
from trainer.data.speech_synth import available_engines
from trainer.data.words import COMMON_WORDS, random_sentence
from trainer.files import StorageError


def tone(duration_s=0.4, lead_s=0.2):
    samples = np.zeros(16_000, dtype=np.float32)
    start = int(lead_s * 16_000)
    samples[start : start + int(duration_s * 16_000)] = 0.1 * np.sin(np.arange(int(duration_s * 16_000)) * 0.3)
    return samples


def test_frame_labels_split_phones_in_halves_and_words_in_positions():
    scene = Scene(np.zeros(2560, np.float32), [(3, 0.0, 0.064), (5, 0.064, 0.128)], [(7, 0.064, 0.16)])
    labels = frame_labels(scene, 10, 256)
    assert labels.phone.tolist() == [3] * 4 + [5] * 4 + [-1] * 2
    assert labels.second_half.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
    assert labels.neighbour.tolist() == [0, 0, 5, 5, 3, 3, 0, 0, -1, -1]
    assert labels.word.tolist() == [-1] * 4 + [7] * 6
    assert (np.diff(labels.position[4:]) > 0).all()


def test_joined_words_have_no_silence_of_their_clips():
    rng = np.random.default_rng(0)
    clips = [WordClip("a", "s", tone(), ((4, 0.2, 0.4), (6, 0.4, 0.6))) for _ in range(6)]
    scene = joined_words(rng, clips, {"a": 0})
    assert len(scene.words) == 6
    for _, start_s, end_s in scene.words:
        assert 0.33 < end_s - start_s < 0.55
        part = scene.samples[int(start_s * 16_000) : int(end_s * 16_000)]
        assert active_power(part) > 1e-3
    named = [phone for phone, _, _ in scene.phones if phone]
    assert named == [4, 6] * 6
    quick = sped_up(scene, 1.25)
    assert quick.words[-1][2] == pytest.approx(scene.words[-1][2] / 1.25)
    assert len(quick.samples) == pytest.approx(len(scene.samples) / 1.25, abs=2)


def test_augmentations_keep_length_and_level_as_promised():
    rng = np.random.default_rng(0)
    signal = tone()
    for changed in (telephone(signal, rng), random_equaliser(rng, signal), in_random_room(rng, signal)):
        assert changed.shape == signal.shape
        assert changed.dtype == np.float32
    noise = rng.standard_normal(len(signal)).astype(np.float32)
    added = mix_at_snr(signal, noise, 6.0) - signal
    assert 10 * np.log10(active_power(signal) / np.mean(added**2)) == pytest.approx(6.0, abs=0.1)
    assert room_response(rng, 0.3, 6.0)[0] == 1.0
    assert len(change_speed(signal, 2.0)) == len(signal) // 2


def test_telephone_has_nothing_above_4_khz():
    rng = np.random.default_rng(0)
    spectrum = np.abs(np.fft.rfft(telephone(rng.standard_normal(16_000).astype(np.float32), rng)))
    assert np.square(spectrum[4200:]).sum() < 1e-3 * np.square(spectrum).sum()


def test_alignment_finds_the_phones():
    truth = [0, 0, 3, 3, 3, 5, 5, 2, 2, 2, 0]
    scores = np.log(np.eye(6)[truth] * 0.8 + 0.03)
    assert align(scores, [3, 5, 2])[1] == [(2, 5), (5, 7), (7, 10)]
    assert align(scores, [3, 5, 2])[0] > align(scores, [3, 4, 2])[0]


def test_readers(tmp_path):
    with pytest.raises(AudioError, match=r"WORD/\*.wav"):
        list(read_word_folders(tmp_path))
    for name in ("stop/a.wav", "_unknown_/cat_0123abcd_nohash_0.wav"):
        (tmp_path / name).parent.mkdir()
        sf.write(tmp_path / name, tone(), 16_000)
    assert sorted((c.word, c.speaker) for c in read_speech_commands(tmp_path)) == [
        ("en-cat", "0123abcd"),
        ("en-stop", "a"),
    ]
    assert [c.word for c in read_word_folders(tmp_path)] == ["_unknown_", "stop"]
    assert len(read_recordings(tmp_path)) == 2
    sf.write(tmp_path / "stop" / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="no samples"):
        list(read_word_folders(tmp_path))


def test_shots_are_checked_as_recordings_are(tmp_path):
    """Regression: samples that are no numbers and truncated files were enrolled and trained on."""
    (tmp_path / "stop").mkdir()
    sf.write(tmp_path / "stop" / "a.wav", np.full(1000, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        list(read_word_folders(tmp_path))
    sf.write(tmp_path / "stop" / "a.wav", tone(), 16_000)
    (tmp_path / "stop" / "a.wav").write_bytes((tmp_path / "stop" / "a.wav").read_bytes()[:8000])
    with pytest.raises(AudioError, match="truncated"):
        list(read_word_folders(tmp_path))


def test_hidden_files_are_no_shots(tmp_path):
    """Regression: one `._a.wav` of an archive made on macOS stopped the enrolment."""
    for name in ("stop/a.wav", ".ipynb_checkpoints/b.wav"):
        (tmp_path / name).parent.mkdir()
        sf.write(tmp_path / name, tone(), 16_000)
    (tmp_path / "stop" / "._a.wav").write_bytes(b"resource fork")
    assert [(c.word, c.speaker) for c in read_word_folders(tmp_path)] == [("stop", "a")]
    assert len(read_recordings(tmp_path)) == 1


def test_shards(tmp_path):
    clips = {
        word: [WordClip(word, "s", tone(0.3 + 0.1 * i), ((4, 0.2, 0.35), (6, 0.35, 0.5)))]
        for i, word in enumerate("ab")
    }
    material = Material([np.ones(100, np.float32)], clips, {}, recorded_share=1.0)
    n_frames = write_shard(tmp_path / "0.npz", np.random.default_rng(0), material, KeywordSpec(), 4)
    shards = load_shards([tmp_path / "0.npz"])
    assert len(shards[0]["frames"]) == n_frames
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken: cannot be written"):
        write_shard(tmp_path / "taken" / "0.npz", np.random.default_rng(0), material, KeywordSpec(), 1)
    classes = diphone_classes(shards, 5)
    assert classes.max() <= 4
    assert classes[4, 6] >= 0


def test_silent_recordings_of_words_are_drawn_anew_or_named(tmp_path):
    """NumPy's "need at least one array to concatenate" was all it said."""
    silent = {word: [WordClip(word, "s", np.zeros(8000, np.float32), ())] for word in "abcd"}
    material = Material([np.ones(100, np.float32)], silent, {}, recorded_share=1.0)
    with pytest.raises(AudioError, match="nothing is heard in"):
        write_shard(tmp_path / "0.npz", np.random.default_rng(0), material, KeywordSpec(), 4)
    heard = silent | {"e": [WordClip("e", "s", tone(0.4), ())]}
    mixed = Material([np.ones(100, np.float32)], heard, {}, recorded_share=1.0)
    assert write_shard(tmp_path / "1.npz", np.random.default_rng(0), mixed, KeywordSpec(), 4) > 0


def test_words_are_those_nobody_enrols():
    enrolled = {"operator", "wildfire", "voyager", "cappuccino", "espresso", "medium", "coffee", "sugar", "mocha"}
    assert not enrolled & set(COMMON_WORDS)
    assert len(random_sentence(np.random.default_rng(0), 5).split()) == 5


@pytest.mark.parametrize("engine", ["espeak-ng", "flite"])
def test_synthesisers_give_phones_that_fill_the_sound(engine):
    engines = available_engines()
    if engine not in engines:
        pytest.skip(f"{engine} is not installed: apt install {engine}")
    utterance = engines[engine](np.random.default_rng(3), "seven yellow monkeys")
    duration_s = len(utterance.samples) / 16_000
    assert 0.5 < duration_s < 6.0
    assert utterance.phones[-1][2] == pytest.approx(duration_s, abs=0.05)
    assert all(a[2] == pytest.approx(b[1]) for a, b in zip(utterance.phones, utterance.phones[1:], strict=False))
    names = [PHONES[phone] for phone, _, _ in utterance.phones if phone > 0]
    assert {"m", "n"} <= set(names)
    assert phone_index("no such sound") == -1
