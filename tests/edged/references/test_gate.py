"""Bad sets of clips, as an operator (or an attacker) may name them: each refused or doubted, with the reason stated.

Whatever comes, nothing is enrolled, the process needs little memory, and the names in the report can be printed.
"""

from __future__ import annotations

import os
import resource
import struct
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from edged.errors import AudioError, EdgedError, EnrolmentError
from edged.references import clips as clips_module
from edged.references import search
from edged.references.anomaly import bank_to_store, labelled_bank
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.embedding import embed_clip
from edged.references.enroll import Terms, anomaly_bank, anomaly_monitor, enroll_domain, enroll_paths
from edged.references.expectation import expected_alarms
from edged.references.gate import stacked
from edged.references.labelled import labelled_now
from tests.fakes.sounds import RATE_HZ, machine

CLIP_S = 3.0


def press(seed: int) -> np.ndarray:
    """Another machine: blows of broadband noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    return (0.05 * rng.standard_normal(len(t)) * (np.exp(-8 * (t % 0.7)) + 0.02)).astype(np.float32)


def low_rate(seed: int) -> np.ndarray:
    return soxr.resample(soxr.resample(machine(CLIP_S, seed), RATE_HZ, 8000), 8000, RATE_HZ)


def write(directory: Path, name: str, samples: np.ndarray, rate_hz: int = RATE_HZ) -> None:
    sf.write(directory / name, samples, rate_hz, subtype="FLOAT")


def good(directory: Path, n: int = 8, first: int = 100) -> None:
    for seed in range(first, first + n):
        write(directory, f"{seed}.wav", machine(CLIP_S, seed))


def with_one(name: str, samples: Callable[[], np.ndarray], n: int = 8) -> Callable[[Path], None]:
    """Good clips and one other."""

    def make(directory: Path) -> None:
        good(directory, n)
        write(directory, name, samples())

    return make


def only(samples: Callable[[int], np.ndarray], n: int = 6, rate_hz: int = RATE_HZ) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        for seed in range(n):
            write(directory, f"{seed}.wav", samples(seed), rate_hz)

    return make


def header(directory: Path, *, channels: int = 1, rate_hz: int = RATE_HZ, data_bytes: int = 96_000) -> None:
    """A WAV whose header says what it likes, and what follows is 3 s of 16-bit noise."""
    frames = np.random.default_rng(0).integers(-900, 900, 48_000, np.int16).tobytes()
    fields = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * 2 % (1 << 32), 2, 16)
    riff = b"RIFF" + struct.pack("<I", 36 + len(frames)) + b"WAVE" + fields
    (directory / "a.wav").write_bytes(riff + b"data" + struct.pack("<I", data_bytes) + frames)


def sparse(directory: Path, head: bytes = b"") -> None:
    with (directory / "huge.wav").open("wb") as file:
        file.write(head)
        file.truncate(10 << 30)


def streamed_header() -> bytes:
    """Of a writer that did not know the length."""
    fields = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + fields + b"data" + struct.pack("<I", 0xFFFFFFFF)


def truncated(directory: Path) -> None:
    good(directory, 1)
    (file,) = directory.iterdir()
    file.write_bytes(file.read_bytes()[:-5000])


def damaged_flac(directory: Path) -> None:
    sf.write(directory / "a.flac", machine(CLIP_S, 1), RATE_HZ)
    data = bytearray((directory / "a.flac").read_bytes())
    data[len(data) // 3 : len(data) // 2] = os.urandom(len(data) // 2 - len(data) // 3)
    (directory / "a.flac").write_bytes(bytes(data))


def not_a_number(value: float) -> Callable[[], np.ndarray]:
    def samples() -> np.ndarray:
        sound = machine(CLIP_S, 1)
        sound[20_000] = value
        return sound

    return samples


def torn() -> np.ndarray:
    buffers = machine(CLIP_S, 1)[:47_200].reshape(-1, 800).copy()
    buffers[1::2] = buffers[:-1:2]
    return buffers.ravel()


def half_dead() -> np.ndarray:
    return np.concatenate([machine(1.0, 1), np.zeros(2 * RATE_HZ, np.float32)])


def named_in_bytes(directory: Path) -> None:
    write(directory, "a.wav", np.zeros(RATE_HZ * 2, np.float32))
    (directory / "a.wav").rename(directory / os.fsdecode(b"\xff\x1b[31m.wav"))


def fifo(directory: Path) -> None:
    os.mkfifo(directory / "pipe.wav")


def symlink_loop(directory: Path) -> None:
    (directory / "loop.wav").symlink_to(directory / "loop.wav")
    (directory / "around").symlink_to(directory)


def named_directory(directory: Path) -> None:
    (directory / "clips.wav").mkdir()


def scattered(directory: Path) -> None:
    """Every clip another mixture of two machines."""
    for seed in range(6):
        sound = machine(CLIP_S, seed) * (0.02 if seed % 2 else 1.0)
        write(directory, f"{seed}.wav", sound + seed * press(seed))


def other_kind(directory: Path) -> None:
    good(directory, 8)
    for seed in range(4):
        write(directory, f"press-{seed}.wav", press(seed))


def copies(directory: Path) -> None:
    for name in "abc":
        write(directory, f"{name}.wav", machine(CLIP_S, 0))  # enrolled already, see `enrolled`


def private(directory: Path) -> None:
    good(directory, 2)
    (directory / "100.wav").chmod(0)


def private_directory(directory: Path) -> None:
    (directory / "inner").mkdir()
    good(directory / "inner", 2)
    (directory / "inner").chmod(0)


def very_many(directory: Path) -> None:
    for number in range(search.MAX_FILES + 1):
        (directory / f"{number}.wav").touch()


def file(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda directory: (directory / name).write_bytes(data) and None


@dataclass(frozen=True)
class Bad:
    """A bad set.

    Attributes:
        outcome: ``refused`` (whatever `force` says) or ``doubtful``.
        words: of the reason.
        after: what is enrolled before: nothing, ``normal`` sound, or that and a ``labelled`` anomaly.
        path: below the directory; ``..`` = the directory as made.
    """

    name: str
    make: Callable[[Path], None]
    outcome: str
    words: str
    after: str = "nothing"
    path: str = ""
    channel: int = 0


BAD = [
    Bad("empty directory", lambda _: None, "refused", "holds no audio"),
    Bad("no such path", lambda _: None, "refused", "no such file", path="nowhere"),
    Bad("only text files", file("notes.txt", b"hello"), "refused", "holds no audio"),
    Bad("text named .wav", file("a.wav", b"hello" * 100), "refused", "not readable as audio"),
    Bad("empty file", file("a.wav", b""), "refused", "not readable|truncated|no samples"),
    Bad("program named .flac", file("a.flac", b"\x7fELF" + bytes(5000)), "refused", "not readable as audio"),
    Bad("random bytes as MP3", file("a.mp3", np.random.default_rng(0).bytes(20_000)), "refused", "not readable|short"),
    Bad("damaged FLAC", damaged_flac, "refused", "damaged|truncated|not numbers"),
    Bad("truncated WAV", truncated, "refused", "truncated"),
    Bad("header before its samples", file("a.wav", streamed_header()[:30]), "refused", "truncated"),
    Bad("no channels", lambda d: header(d, channels=0), "refused", "not readable"),
    Bad("6,000 channels", lambda d: header(d, channels=6000), "refused", "too many|not readable"),
    Bad("4 GHz", lambda d: header(d, rate_hz=4_000_000_000), "refused", "too many|not readable"),
    Bad("0 Hz", lambda d: header(d, rate_hz=0), "refused", "not readable|too many"),
    Bad("header promises more", lambda d: header(d, data_bytes=900_000), "refused", "truncated"),
    Bad("10 GB sparse, no header", sparse, "refused", "not readable"),
    Bad("10 GB sparse, streamed WAV", lambda d: sparse(d, streamed_header()), "refused", "longer than|not readable"),
    Bad("a channel there is none of", good, "refused", "channel 3", channel=3),
    Bad("NaN", with_one("x.wav", not_a_number(np.nan)), "refused", "not numbers"),
    Bad("infinity", with_one("x.wav", not_a_number(np.inf)), "refused", "not numbers"),
    Bad("too short", with_one("x.wav", lambda: machine(0.4, 1)), "refused", "400 ms is shorter than 1 s"),
    Bad("too long", with_one("x.wav", lambda: np.tile(machine(1, 1), 602), 1), "refused", "602.0 s is longer than 600"),
    Bad("silence", with_one("x.wav", lambda: np.zeros(48_000)), "refused", "silent"),
    Bad("almost silence", with_one("x.wav", lambda: 1e-5 * machine(CLIP_S, 1)), "refused", "silent"),
    Bad("mostly digital silence", with_one("x.wav", half_dead), "refused", "67% of it is digital silence"),
    Bad("DC", with_one("x.wav", lambda: machine(CLIP_S, 1) + 0.7), "refused", "mean of 0.70"),
    Bad("clipped", with_one("x.wav", lambda: np.clip(30 * machine(CLIP_S, 1), -1, 1)), "refused", "clipped: 30%"),
    Bad("a little clipped", with_one("x.wav", lambda: np.clip(16 * machine(CLIP_S, 1), -1, 1)), "doubtful",
        "full scale"),
    Bad("torn", with_one("x.wav", torn), "doubtful", "repeats"),
    Bad("8 kHz after 16 kHz", only(lambda s: machine(CLIP_S, s + 50, rate_hz=8000), rate_hz=8000), "refused",
        "nothing above", after="normal"),
    Bad("upsampled after 16 kHz", only(low_rate), "refused", "nothing above", after="normal"),
    Bad("one upsampled among 16 kHz", with_one("x.wav", lambda: low_rate(1)), "refused", "nothing above"),
    Bad("copies of what is enrolled", copies, "refused", "enrolled already", after="normal"),
    Bad("two machines", other_kind, "doubtful", "two kinds of sound: 4 clips"),
    Bad("one clip of another machine", with_one("x.wav", lambda: press(1)), "doubtful", "x.wav: an outlier"),
    Bad("one fault among normal", with_one("x.wav", lambda: machine(CLIP_S, 1, fault=True)), "doubtful", "an outlier"),
    Bad("one fault in a target domain", with_one("x.wav", lambda: machine(CLIP_S, 1, fault=True)), "doubtful",
        "an outlier", after="normal"),
    Bad("another machine as a domain", only(press), "doubtful", "far from all that is enrolled", after="normal"),
    Bad("a set so scattered that it blinds", scattered, "doubtful", "must be|far from", after="normal"),
    Bad("faults after one was labelled", only(lambda s: machine(CLIP_S, s + 70, fault=True)), "refused",
        "anomaly that was labelled at event e-1", after="labelled"),
    Bad("one fault after one was labelled", with_one("x.wav", lambda: machine(CLIP_S, 70, fault=True)), "refused",
        "anomaly that was labelled at event e-1", after="labelled"),
    Bad("the labelled sound itself", only(lambda _: machine(CLIP_S, 60, fault=True), 1), "refused",
        "anomaly that was labelled at event e-1", after="labelled"),
    Bad("a pipe", fifo, "refused", "neither a file nor a directory", path="pipe.wav"),
    Bad("a pipe in a directory", fifo, "refused", "holds no audio"),
    Bad("a device", lambda _: None, "refused", "neither a file nor a directory", path="/dev/zero"),
    Bad("links in circles", symlink_loop, "refused", "holds no audio"),
    Bad("a link to itself", symlink_loop, "refused", "symbolic links", path="loop.wav"),
    Bad("a directory named .wav", named_directory, "refused", "holds no audio"),
    Bad("a name that is no text", named_in_bytes, "refused", r"\\xff\\x1b\[31m.wav: silent"),
    Bad("too many files", very_many, "refused", "more than 10000 files"),
    Bad("a private file", private, "refused", "Permission denied"),
    Bad("a private directory", private_directory, "refused", "Permission denied"),
]  # fmt: skip


@pytest.fixture
def directory():
    """A folder that others may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        path = Path(made)
        path.chmod(0o755)
        (path / "set").mkdir()
        yield path / "set"


@pytest.fixture
def nobody():
    """Not the superuser, for whom there are no private files."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def enrolled(quick, quick_store):
    """Enrol normal sound, and label an anomaly, before the set comes."""

    def prepare(what: str) -> None:
        if what == "nothing":
            return
        normal = [clip_of_samples(f"{seed}.wav", machine(CLIP_S, seed), ANOMALY_CLIPS) for seed in range(10)]
        enroll_domain(quick, quick_store, "fan", normal)
        if what == "labelled":
            label(quick, quick_store, machine(CLIP_S, 60, fault=True))

    return prepare


def label(assembly, store, samples, *, insists=False) -> None:
    bank = anomaly_bank(assembly, store, "fan")
    bundle = assembly.bundle("fan", "anomaly")
    clip = clip_of_samples("event e-1", samples.astype(np.float32), ANOMALY_CLIPS)
    vectors = stacked(embed_clip(clip.samples, bundle, assembly.embedder(bundle)))
    one = labelled_now("e-1", clip.name, clip.sha256, vectors, bank.scorer, insists=insists)
    facts, arrays = bank_to_store(labelled_bank(bundle, bank, (one,)), bundle)
    store.commit("fan", "anomaly", facts, arrays, reason="label", based_on=bank.version)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_set_is_refused_or_doubted_with_its_reason(bad, quick, quick_store, enrolled, directory, request):
    enrolled(bad.after)
    bad.make(directory)
    if "private" in bad.name:
        request.getfixturevalue("nobody")
    version = quick_store.active_version("fan", "anomaly")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def enrol(**terms):
        return enroll_paths(
            quick, quick_store, "fan", [directory / bad.path], channel=bad.channel, terms=Terms(**terms)
        )

    with pytest.raises(EnrolmentError, match=bad.words) as refused:
        enrol()
    assert refused.value.fix or "already" in str(refused.value)
    assert str(refused.value).replace("\n", "").isprintable()
    if bad.outcome == "doubtful":
        report = enrol(dry_run=True)
        assert (report["accepted"], report["dry_run"]) == (False, True)
        assert enrol(dry_run=True, force=True)["accepted"]
    else:
        with pytest.raises(EdgedError, match=bad.words):
            enrol(force=True)
    assert quick_store.active_version("fan", "anomaly") == version
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib < 300 << 10


def test_there_are_as_many_bad_sets_as_promised():
    assert len(BAD) == len({bad.name for bad in BAD}) >= 50


def test_a_good_set_passes_without_a_word(quick, quick_store, tmp_path):
    good(tmp_path, 10, first=0)
    report = enroll_paths(quick, quick_store, "fan", [tmp_path])
    assert (report["version"], report["accepted"], report["doubts"]) == (1, True, ())
    assert {clip["verdict"] for clip in report["clips"]} == {"ok"}
    assert all(clip["score"] < report["threshold"] for clip in report["clips"])
    assert report["false_alarms"]["rests_on"] == "leave-one-out scores of 10 enrolled clips"
    assert report["false_alarms"]["heard_h"] == pytest.approx(10 * CLIP_S / 3600, rel=0.2)


@pytest.mark.parametrize(("n_clips", "is_known"), [(2, False), (5, False), (10, True)])
def test_few_clips_promise_no_more_than_the_time_without_alarms_tells(quick, quick_store, tmp_path, n_clips, is_known):
    """Five clips promised 0.001 false alarms a day, 15 at most: the true rate lay above in four of ten cases."""
    good(tmp_path, n_clips, first=0)
    alarms = enroll_paths(quick, quick_store, "fan", [tmp_path])["false_alarms"]
    assert (alarms["per_day"] is not None) == is_known
    silent = 1.9207 * 24.0 / alarms["heard_h"]  # half the chi-squared quantile: none seen, 95 %, Jeffreys
    assert is_known or alarms["high_per_day"] == pytest.approx(silent, rel=1e-3)


def test_alarms_that_few_clips_would_raise_are_counted(quick, quick_store):
    enroll_domain(quick, quick_store, "fan", [clip_of_samples(f"{s}", machine(3, s), ANOMALY_CLIPS) for s in range(5)])
    bank = anomaly_bank(quick, quick_store, "fan")
    below = expected_alarms(anomaly_monitor(quick, "fan", bank), bank, float(np.nanmin(bank.scorer.normal_scores)) - 1)
    assert below.per_day == pytest.approx(5 * 24 / below.heard_h, rel=0.1)


def test_a_first_set_of_low_rate_throughout_is_remarked_on(quick, quick_store, tmp_path):
    only(lambda s: machine(CLIP_S, s, rate_hz=8000), rate_hz=8000)(tmp_path)
    report = enroll_paths(quick, quick_store, "s", [tmp_path])
    assert report["version"] == 1
    assert any("nothing above" in note for note in report["notes"])


def test_a_dry_run_says_what_the_enrolment_then_does(quick, quick_store, enrolled, tmp_path):
    enrolled("normal")
    good(tmp_path, 4)
    shown = enroll_paths(quick, quick_store, "fan", [tmp_path], domain="night", terms=Terms(dry_run=True))
    assert quick_store.active_version("fan", "anomaly") == shown["version"] == 1
    done = enroll_paths(quick, quick_store, "fan", [tmp_path], domain="night")
    assert done == shown | {"version": 2, "dry_run": False}
    assert (done["added_clips"], done["total_clips"]) == (4, 14)
    assert done["overlap"]["nearest"] == "source"
    assert any("lies inside what is known as 'source'" in line for line in done["notes"])


def test_a_label_that_lowers_the_threshold_below_nothing_leaves_the_figures_as_they_were(
    quick, quick_store, enrolled, tmp_path
):
    """Distances were told in thresholds in force: negative ones, so that nothing was ever too far away."""
    enrolled("normal")
    only(press)(tmp_path)
    plain = enroll_paths(quick, quick_store, "fan", [tmp_path], domain="night", terms=Terms(dry_run=True))
    label(quick, quick_store, machine(CLIP_S, 3) * np.float32(1.001), insists=True)
    assert anomaly_bank(quick, quick_store, "fan").threshold < 0.0
    shown = enroll_paths(quick, quick_store, "fan", [tmp_path], domain="night", terms=Terms(dry_run=True))
    assert shown["overlap"]["distance"] == plain["overlap"]["distance"] > 1.0


def test_force_enrols_what_is_doubtful_and_the_report_keeps_the_doubts(quick, quick_store, tmp_path):
    other_kind(tmp_path)
    report = enroll_paths(quick, quick_store, "fan", [tmp_path], terms=Terms(force=True))
    assert report["version"] == 1
    assert "two kinds" in report["doubts"][-1]
    verdicts = {clip["name"]: clip["verdict"] for clip in report["clips"]}
    assert {name for name, verdict in verdicts.items() if verdict == "doubtful"} == {f"press-{n}.wav" for n in range(4)}


def test_a_refused_enrolment_carries_the_whole_report(quick, quick_store, tmp_path):
    with_one("x.wav", lambda: np.zeros(48_000))(tmp_path)
    with pytest.raises(EnrolmentError) as refused:
        enroll_paths(quick, quick_store, "fan", [tmp_path])
    (clip,) = refused.value.report["refused"]
    assert (Path(clip["name"]).name, clip["fault"]) == ("x.wav", "silent")


def test_a_copy_inside_the_set_is_passed_over_and_shown(quick, quick_store, tmp_path):
    good(tmp_path, 6)
    write(tmp_path, "copy.wav", machine(CLIP_S, 100))
    report = enroll_paths(quick, quick_store, "fan", [tmp_path])
    assert report["added_clips"] == 6
    assert [(c["name"], c["reason"]) for c in report["clips"] if c["verdict"] == "copy"] == [
        ("copy.wav", "the same recording as 100.wav")
    ]


def test_no_two_clips_are_in_memory_together(quick, quick_store, tmp_path, monkeypatch):
    """Ten thousand clips of ten minutes would not fit."""
    seen = []
    read = clips_module.read_clip

    def watched(*args, **kwargs):
        assert [ref for ref in seen if ref() is not None] == []
        samples = read(*args, **kwargs)
        seen.append(weakref.ref(samples))
        return samples

    monkeypatch.setattr(clips_module, "read_clip", watched)
    good(tmp_path, 6)
    enroll_paths(quick, quick_store, "fan", [tmp_path])
    assert len(seen) == 12  # each once to examine, once to embed


def test_a_clip_that_changes_under_the_enrolment_stops_it(quick, quick_store, tmp_path, monkeypatch):
    good(tmp_path, 6)

    def track(items):
        for clip in items:
            write(tmp_path, "105.wav", machine(CLIP_S, 999))
            yield clip

    with pytest.raises(AudioError, match=r"105.wav: changed while it was enrolled"):
        enroll_paths(quick, quick_store, "fan", [tmp_path], track=track)
    assert quick_store.streams() == []
