"""Every way for clips of a word to be doubtful, and what must pass; on words as an embedder would give them."""

import numpy as np
import pytest

from edged.references.clips import KEYWORD_CLIPS, clip_of_samples
from edged.references.counters import CounterWord
from edged.references.keyword_gate import judge
from edged.references.keyword_gate_clip import word_sound
from edged.references.keyword_gate_counters import counter_finding
from edged.references.keyword_gate_set import FARTHEST, Templates, best_mean, left_out
from edged.references.keyword_gate_words import OtherWord
from edged.score.dtw import offline_dtw
from tests.fakes.words import background, path, said, spoken

BACKGROUND = background(900)


def clips_of(word, speakers=range(5), **how):
    return [spoken(f"{word}-{speaker}.wav", said(word, speaker, **how)) for speaker in speakers]


def finding(clips, own=(), others=(), word="stop"):
    return judge(clips, own, others, word, BACKGROUND)


def verdicts(found):
    return {clip.name: clip.verdict for clip in found.clips}


@pytest.mark.parametrize("word", range(20))
def test_a_good_set_passes(word):
    found = finding(clips_of(word))
    assert set(verdicts(found).values()) == {"ok"}
    assert (found.doubts, found.remarks) == ((), ())
    assert all(0.0 < clip.score < 0.8 for clip in found.clips)


@pytest.mark.parametrize("n_good", [2, 4])
@pytest.mark.parametrize("other", range(31, 41))
def test_another_word_among_the_clips_is_named(other, n_good):
    stranger = spoken("stranger.wav", said(other, 1))
    found = finding([*clips_of(30, range(n_good)), stranger])
    assert [name for name, verdict in verdicts(found).items() if verdict == "doubtful"] == ["stranger.wav"]
    assert found.doubts[0].startswith("stranger.wav: the odd one out: ")


def test_two_clips_say_nothing_of_which_is_the_odd_one():
    found = finding([*clips_of(30, range(1)), *clips_of(31, range(1))])
    assert found.doubts == ()


def test_one_more_clip_is_judged_by_the_enrolled_templates():
    own = [said(30, speaker) for speaker in range(4)]
    assert finding(clips_of(30, [7]), own).doubts == ()
    (doubt,) = finding(clips_of(31, [7]), own).doubts
    assert "the odd one out" in doubt
    assert "nan" not in doubt


def test_a_clip_alone_has_no_score_and_no_doubt():
    (clip,) = finding(clips_of(30, [0])).clips
    assert (clip.score, clip.verdict) == (None, "ok")


@pytest.mark.parametrize(("edge", "part"), [("beginning", slice(14, None)), ("end", slice(0, 16))])
def test_a_clip_that_is_cut_off_is_told_with_what_is_missing(edge, part):
    amid = {"begins_amid": edge == "beginning", "ends_amid": edge == "end"}
    around = {"before": 0} if edge == "beginning" else {"after": 0}
    cut = spoken("cut.wav", said(30, 8)[part], **around, **amid)
    found = finding([*clips_of(30, range(4)), cut])
    assert found.doubts[0].startswith(f"cut.wav: its {edge} is cut off: the other clips ")


def test_a_whole_word_that_runs_into_the_edges_is_only_remarked_on():
    """Words cut out of running speech have their neighbours at the edges."""
    clips = [
        spoken(f"{speaker}.wav", said(30, speaker), before=0, after=0, begins_amid=True, ends_amid=True)
        for speaker in range(5)
    ]
    found = finding(clips)
    assert found.doubts == ()
    assert "sound runs into the edges of 5 of 5 clips" in found.remarks[0]
    assert finding([*clips_of(30, range(4)), clips[4]]).remarks == ()


@pytest.mark.parametrize(
    ("range_db", "variation", "is_doubted"), [(7.0, 1.6, True), (7.0, 0.3, False), (3.0, 0.3, False)]
)
def test_a_word_in_noise_is_doubted_where_the_others_hear_it_worse(range_db, variation, is_doubted):
    noisy = spoken("noisy.wav", said(30, 8, variation=variation), range_db=range_db)
    found = finding([*clips_of(30, range(4)), noisy])
    assert [doubt.partition(" (")[0] for doubt in found.doubts] == (
        ["noisy.wav: the word hardly stands out of its background"] if is_doubted else []
    )


@pytest.mark.parametrize(("range_db", "n_doubts"), [(3.0, 1), (7.0, 0)])
def test_a_clip_alone_is_doubted_where_its_word_drowns(range_db, n_doubts):
    assert len(finding([spoken("noisy.wav", said(30, 8), range_db=range_db)]).doubts) == n_doubts


@pytest.mark.parametrize(("n_enrolled", "verdict"), [(0, "ok"), (3, "doubtful")])
def test_of_few_clips_a_borderline_doubt_is_only_remarked_on(n_enrolled, verdict):
    clips = [spoken("noisy.wav", said(30, 8), range_db=4.0)]
    found = judge(clips, (), (), "stop", BACKGROUND, n_enrolled=n_enrolled)
    assert verdicts(found) == {"noisy.wav": verdict}
    if verdict == "ok":
        line = "noisy.wav: not sure, of so few clips: the word hardly stands out of its background (4 dB)"
        assert (found.doubts, found.remarks) == ((), (line,))


@pytest.mark.parametrize(("n_rows", "n_doubts"), [(17, 1), (25, 0)])
def test_of_few_clips_one_is_doubted_as_cut_off_only_where_much_is_missing(n_rows, n_doubts):
    cut = spoken("cut.wav", said(30, 8)[:n_rows], after=0, ends_amid=True)
    found = finding([*clips_of(30, range(1)), cut])
    assert len(found.doubts) == n_doubts
    assert any(line.startswith("cut.wav: not sure, of so few clips: its end is cut off") for line in found.remarks) == (
        not n_doubts
    )


def test_words_cut_out_of_running_speech_are_cut_off_only_where_much_is_missing():
    """Their neighbours at the edges made every fifth set doubtful."""

    def clip(name, rows):
        return spoken(name, rows, before=0, after=0, begins_amid=True, ends_amid=True)

    others = [clip(f"{speaker}.wav", said(30, speaker)) for speaker in range(4)]
    assert finding([*others, clip("short.wav", said(30, 8)[:22])]).doubts == ()
    assert finding([*others, clip("cut.wav", said(30, 8)[:13])]).doubts[0].startswith("cut.wav: its end is cut off")


def test_the_same_recording_under_two_names_is_remarked_on():
    again = spoken("again.wav", said(30, 0) * np.float32(1.0))
    found = finding([*clips_of(30, range(3)), again])
    assert "30-0.wav and again.wav look like the same recording" in found.remarks


def test_what_a_clip_is_doubted_for_by_itself_is_passed_on():
    found = finding([*clips_of(30, range(3)), spoken("x.wav", said(30, 7), doubts=("2% at full scale",))])
    assert found.doubts == ()
    assert "x.wav: 2% at full scale" in found.remarks


def test_the_same_word_under_another_name_is_confusable():
    others = [OtherWord("halt", [said(30, s) for s in range(20, 25)]), OtherWord("go", [said(5, s) for s in range(5)])]
    found = finding(clips_of(30), others=others)
    assert len(found.doubts) == 1
    assert found.doubts[0].startswith("confusable with 'halt': ")


def test_a_word_that_is_only_near_is_remarked_on():
    near = [np.concatenate([said(30, s)[:20], path(77, 10)]) for s in range(20, 25)]
    found = finding(clips_of(30), others=[OtherWord("stock", near)])
    assert found.doubts == ()
    assert any(line.startswith("sounds like 'stock': ") for line in found.remarks)


def test_a_word_whose_clips_are_no_nearer_to_each_other_than_to_other_speech_is_remarked_on():
    found = finding([spoken(f"{k}.wav", path(500 + k, 12)) for k in range(5)], word="uh")
    assert any(line.startswith("the clips of 'uh' lie ") for line in found.remarks)


def test_a_sound_that_is_too_short_for_a_template_is_far_and_finite():
    long_word = Templates([path(1, 60)], BACKGROUND)
    assert long_word.nearness([path(2, 5)]).distances.tolist() == [[FARTHEST]]
    assert finding([spoken("a.wav", path(1, 100)), *clips_of(30, range(3), n_rows=9)]).doubts


def test_distances_are_those_of_the_full_matrix_over_those_in_other_speech():
    template, sound = path(1, 12), path(2, 40)
    distances, starts = offline_dtw(template, sound)
    windows = np.array_split(offline_dtw(template, BACKGROUND[:600])[0], 10)
    ordinary = np.median([window.min() for window in windows])
    found = Templates([template], BACKGROUND[:600]).nearness([sound])
    assert found.distances[0, 0] == pytest.approx(distances.min() / ordinary, abs=1e-5)
    assert (found.starts[0, 0], found.ends[0, 0]) == (starts[distances.argmin()], distances.argmin())


def test_a_clip_is_left_out_of_what_judges_it():
    distances = np.array([[0.0, 0.4, 0.5], [0.4, 0.0, 0.3], [0.5, 0.3, 0.0], [0.9, 0.9, 0.9]])
    assert left_out(distances, 3).tolist() == pytest.approx([0.45, 0.35, 0.4])
    assert np.isnan(left_out(np.zeros((1, 1)), 1)).all()
    assert np.isnan(best_mean(np.zeros((0, 2)))).all()


def test_counter_examples_that_would_take_the_word_itself_are_doubted():
    own = [said(30, speaker) for speaker in range(5)]

    def against(word):
        return counter_finding(
            own, [CounterWord("stop", "shop", (), tuple(said(word, s) for s in range(20, 23)))], "stop", BACKGROUND
        )

    assert against(31).doubts == ()
    assert against(30).doubts[0].startswith("counter-example 'shop': ")
    assert counter_finding(own, [CounterWord("stop", "shop", (), ())], "stop", BACKGROUND).doubts == ()


def tone(first_s, last_s, total_s=1.0, level=0.1, noise=1e-4):
    samples = noise * np.random.default_rng(0).standard_normal(int(total_s * 16_000))
    n = np.arange(int(first_s * 16_000), int(last_s * 16_000))
    samples[n] += level * np.sin(0.3 * n) * (1 + 0.8 * np.sin(n / 700.0))
    return samples.astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (tone(0.3, 0.8), (False, False)),
        (tone(0.0, 0.5), (True, False)),
        (tone(0.5, 1.0), (False, True)),
        (tone(0.0, 1.0), (True, True)),
    ],
)
def test_which_edges_a_sound_runs_into(samples, expected):
    sound = word_sound(samples)
    assert (sound.begins_amid, sound.ends_amid) == expected


def test_how_far_a_word_stands_out_is_told_whatever_its_level():
    loud, quiet = (word_sound(tone(0.3, 0.8, noise=0.02) * np.float32(gain)).range_db for gain in (1.0, 0.05))
    assert loud == pytest.approx(quiet, abs=0.1)
    assert word_sound(tone(0.3, 0.8, noise=0.3)).range_db < 6.0 < loud


def test_nothing_heard_is_a_fault_with_what_to_do():
    sound = word_sound(np.zeros(16_000, np.float32))
    assert (sound.fault, sound.first, sound.last) == ("silent", 0, 0)
    assert "record the word again" in sound.reason
    assert clip_of_samples("x", tone(0.3, 0.8), KEYWORD_CLIPS).doubts == ()
