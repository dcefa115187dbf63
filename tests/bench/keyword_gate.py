"""How often the gate doubts good clips of a word, and how often it finds what does not belong.

    python tests/bench/keyword_gate.py [--draws 2] [--write edged/README.md]

Five clips of a word are drawn: words spoken alone (English and Arabic commands, wake words on the telephone and of
volunteers) and words cut out of running speech (coffee orders, automatic times). Into a copy of each set comes another
word of its kind, a noise, a clip whose last or first two fifths are cut away, one in noise as loud as itself. Pairs of
words are enrolled one after the other; how often fifteen more clips of each are nearer to the other word, and near
enough to be reported, is compared with what the gate said. At last single words are enrolled with and without
counter-examples. The English and Arabic words were trained on, the others were not.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.errors import EnrolmentError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.frontend import background_rows, brevity_weight, keyword_reach
from edged.references.clips import KEYWORD_CLIPS, RefusedClip, clip_of_samples
from edged.references.embedding import embed_clip
from edged.references.gate import GateFinding
from edged.references.keyword_gate import judge
from edged.references.keyword_gate_words import OtherWord
from edged.references.templates import SpokenClip, spoken_clip
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel
from edged.score.verification import LEAD_ROWS, Verification, counter_key
from trainer.augment.noise import cut_or_loop, mix_at_snr
from trainer.data.clips import data_directory
from trainer.data.keywords import read_audio, read_indexed_clips
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_sets import ORDER_WORDS, cut

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keyword-gate: begin -->", "<!-- keyword-gate: end -->")
N_SHOTS, N_HELD, CUT_AWAY = 5, 15, 0.4
MOST_CLIPS = 24
ORDERS = (*ORDER_WORDS, "milk", "roast", "triple", "iced", "almond", "single", "double", "ounce", "house", "brown")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
AGAINST = (("on", "off"), ("off", "on"), ("no", "go"), ("go", "no"), ("off", "up"), ("go", "down"))
FAULTS = ("another word", "a noise", "end cut off", "beginning cut off", "0 dB of noise")


class Recording:
    """A clip of a word that is embedded when it is needed."""

    def __init__(self, lab: Lab, name: str, samples: Float32Array) -> None:
        self._lab, self.name, self.samples = lab, name, samples

    @cached_property
    def spoken(self) -> SpokenClip | None:
        """The word in it; None where it would be refused."""
        return self._lab.spoken(self.name, self.samples)


@dataclass
class Lab:
    """The shipped bundle, and noises."""

    assembly: Assembly
    noises: Sequence[Float32Array]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @cached_property
    def background(self) -> Float32Array:
        """Ordinary speech."""
        return background_rows(self.assembly.bundle("m", "keyword"))

    @property
    def limit(self) -> float:
        """The default one."""
        return float(self.assembly.bundle("m", "keyword").manifest.decision["limit_distance"])

    def spoken(self, name: str, samples: Float32Array) -> SpokenClip | None:
        """A clip as enrolment sees it; None where it is refused by itself."""
        bundle = self.assembly.bundle("m", "keyword")
        try:
            clip = clip_of_samples(name, np.asarray(samples, np.float32), KEYWORD_CLIPS)
        except EnrolmentError:
            return None
        found = spoken_clip(bundle, clip, embed_clip(clip.samples, bundle, self.assembly.embedder(bundle)))
        return None if isinstance(found, RefusedClip) else found

    def model(self, templates: dict[str, list[Float32Array]]) -> KeywordModel:
        """As it would be enrolled."""
        bundle = self.assembly.bundle("m", "keyword")
        return KeywordModel.fit(
            templates,
            self.background,
            self.limit,
            keyword_reach(bundle),
            brevity_weight(bundle),
        )


Words = dict[str, list[Recording]]


def recordings(lab: Lab, data: Path) -> Iterator[tuple[str, Words]]:
    """Kind of words, and their recordings; of the Arabic commands every other word."""
    speech = data / "speech"
    for kind, listed in {
        "English commands": _folders(speech / "gsc", COMMANDS),
        "Arabic commands": ((c.word, c.samples) for c in _first_takes(speech / "arabic")),
        "telephone wake words": _telephone(speech / "wuw2"),
        "wake phrases": _folders(speech / "wakewords", ["smart_mirror", "view_glass"]),
        "cut from coffee orders": _orders(speech / "barista"),
    }.items():
        words: Words = {}
        for word, samples in listed:
            own = words.setdefault(word, [])
            if len(own) < MOST_CLIPS:
                own.append(Recording(lab, f"{word}-{len(own)}", samples))
        yield kind, dict(list(words.items())[:: 2 if kind.startswith("Arabic") else 1])


def _folders(root: Path, words: Sequence[str]) -> Iterator[tuple[str, Float32Array]]:
    rng = np.random.default_rng(1)
    for word in words:
        for path in rng.permutation(sorted((root / word).iterdir()))[:MOST_CLIPS]:
            yield word, read_audio(path)


def _first_takes(folder: Path) -> Iterator:
    seen = set()
    for clip in read_indexed_clips(folder, "ar"):
        if (clip.word, clip.speaker) not in seen:
            seen.add((clip.word, clip.speaker))
            yield clip


def _telephone(folder: Path) -> Iterator[tuple[str, Float32Array]]:
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    callers = set()
    for name in np.random.default_rng(1).permutation(sorted(truth)):
        note = truth[name]
        is_alone = int(Path(name).stem[-3:]) <= 5
        if note["keyword"] and is_alone and (note["keyword"], note["session"]) not in callers:
            callers.add((note["keyword"], note["session"]))
            yield note["keyword"], read_audio(folder / name)


def _orders(folder: Path) -> Iterator[tuple[str, Float32Array]]:
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    for name in np.random.default_rng(1).permutation(sorted(truth)):
        spans = {word: (s, e) for word, s, e in truth[name] if word in ORDERS and 0.2 < e - s < 1.2}
        samples = read_audio(folder / name) if spans else None
        yield from ((word, cut(samples, *span)) for word, span in spans.items() if samples is not None)


def drawn(lab: Lab, own: Sequence[Recording], n_clips: int) -> list[SpokenClip]:
    """Clips of a word that are not refused by themselves."""
    spoken = (own[k].spoken for k in lab.rng.permutation(len(own)))
    return list(islice((one for one in spoken if one is not None), n_clips))


def found_of(lab: Lab, clips: Sequence[SpokenClip], others: Sequence[OtherWord] = ()) -> GateFinding:
    """What the gate says of a first set."""
    return judge(clips, [], others, "word", lab.background)


def damaged(lab: Lab, fault: str, clip: SpokenClip, others: Sequence[Recording]) -> SpokenClip | None:
    """A clip with a fault; None where it would be refused by itself, or would have none."""
    samples, first, last = clip.clip.samples, clip.sound.first, clip.sound.last
    away = int(CUT_AWAY * (last - first))
    noise = lab.noises[int(lab.rng.integers(len(lab.noises)))]
    if fault == "another word":
        return others[int(lab.rng.integers(len(others)))].spoken
    if fault == "a noise":
        return lab.spoken("noise", cut_or_loop(lab.rng, noise, SAMPLE_RATE_HZ))
    if fault == "0 dB of noise":
        return lab.spoken("noisy", mix_at_snr(samples, cut_or_loop(lab.rng, noise, len(samples)), 0.0))
    cut_away = samples[: last - away] if fault.startswith("end") else samples[first + away :]
    return lab.spoken("cut", cut_away)


def sets_row(lab: Lab, kind: str, words: Words, draws: int) -> str:
    """Doubted good sets, and what was found in bad ones; refused clips count as found."""
    good: list[bool] = []
    found: dict[str, list[bool]] = {fault: [] for fault in FAULTS}
    for word, own in tqdm(words.items(), desc=kind, leave=False):
        others = [one for name, listed in words.items() if name != word for one in listed]
        for _ in range(draws):
            clips = drawn(lab, own, N_SHOTS)
            if len(clips) == N_SHOTS:
                good.append(bool(found_of(lab, clips).doubts))
                for fault, hits in found.items():
                    bad = damaged(lab, fault, clips[-1], others)
                    hits.append(bad is None or found_of(lab, [*clips[:-1], bad]).clips[-1].verdict != "ok")
    shares = " | ".join(f"{np.mean(hits):.0%}" for hits in found.values())
    return f"| {kind} ({len(words)} words) | {len(good)} | {np.mean(good):.1%} | {shares} |"


@dataclass(frozen=True)
class Pair:
    """Two words enrolled one after the other: what the gate said, and how often they are confused."""

    names: tuple[str, str]
    doubted: bool
    remarked: bool
    confused: float


def pairs_of(lab: Lab, words: Words) -> Iterator[Pair]:
    """All pairs of words of a kind."""
    shots, held = {}, {}
    for word, own in words.items():
        clips = drawn(lab, own, N_SHOTS + N_HELD)
        if len(clips) >= 2 * N_SHOTS:
            shots[word], held[word] = clips[:N_SHOTS], clips[N_SHOTS:]
    model = lab.model({word: [one.template for one in clips] for word, clips in shots.items()})
    nearest = {word: np.array([_nearest(model, one.rows) for one in clips]) for word, clips in held.items()}
    for a, b in tqdm(list(combinations(shots, 2)), desc="pairs", leave=False):
        finding = found_of(lab, shots[b], [OtherWord(a, [one.template for one in shots[a]])])
        at = {word: model.words.index(word) for word in (a, b)}
        shares = [
            np.mean((nearest[x][:, at[y]] < nearest[x][:, at[x]]) & (nearest[x][:, at[y]] < lab.limit))
            for x, y in ((a, b), (b, a))
        ]
        doubted = any("confusable" in line for line in finding.doubts)
        yield Pair((a, b), doubted, doubted or any("sounds like" in line for line in finding.remarks), max(shares))


def _nearest(model: KeywordModel, rows: Float32Array) -> np.ndarray:
    return np.asarray(model.combine(StreamingDtw(model.templates).push(rows))[0].min(axis=0))


def renamed(lab: Lab, words: Words) -> list[bool]:
    """Whether a word that is enrolled a second time under another name is told."""
    told = []
    for own in words.values():
        clips = drawn(lab, own, 2 * N_SHOTS)
        if len(clips) == 2 * N_SHOTS:
            other = OtherWord("other", [one.template for one in clips[:N_SHOTS]])
            told.append(any("confusable" in line for line in found_of(lab, clips[N_SHOTS:], [other]).doubts))
    return told


def counter_row(lab: Lab, words: Words, word: str, other: str) -> str:
    """How often a word and another are reported as the word, without and with five clips of the other against it."""
    own, against = (drawn(lab, words[name], N_SHOTS + N_HELD) for name in (word, other))
    templates = [one.template for one in own[:N_SHOTS]]
    model = lab.model({word: templates})
    key = counter_key(word, other)
    verification = Verification(lab.model({word: templates, key: [one.template for one in against[:N_SHOTS]]}))
    cells = []
    for clips in (own[N_SHOTS:], against[N_SHOTS:]):
        matched, upheld = 0, 0
        for one in clips:
            distances, starts = model.combine(StreamingDtw(model.templates).push(one.rows))
            end = int(distances[:, 0].argmin())
            if distances[end, 0] < lab.limit:
                matched += 1
                stretch = one.rows[max(0, int(starts[end, 0]) - LEAD_ROWS) : end + 1]
                upheld += verification.upholds(word, stretch)
        cells += [f"{matched} of {len(clips)}", f"{upheld}"]
    return f"| {word}, not {other} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the tables; optionally write them into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2, help="sets drawn of each word")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a file with the marks")
    arguments = parser.parse_args()
    data = data_directory()
    noises = [read_audio(path) for path in sorted((data / "noise" / "esc10").glob("*.ogg"))[::9]]
    lab = Lab(Assembly(parse_config({}, "bench")), noises)
    kinds = dict(recordings(lab, data))
    head = "| sets of five | n | good, doubted | " + " | ".join(f"{fault}, found" for fault in FAULTS) + " |"
    lines = [head, "|---" + "|---:" * (2 + len(FAULTS)) + "|"]
    lines += [sets_row(lab, kind, words, arguments.draws) for kind, words in kinds.items()]
    head = "| keyword | of it reported | with counter-examples | of the other reported | with counter-examples |"
    lines += ["", *pair_lines(lab, kinds), "", head, "|---|---:|---:|---:|---:|"]
    lines += [counter_row(lab, kinds["English commands"], *pair) for pair in AGAINST]
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    label = lab.assembly.bundle("m", "keyword").label
    lines += ["", f"{stamp}, {label}, numpy {np.__version__}, python {platform.python_version()}."]
    print("\n".join(lines))
    if arguments.write:
        write_between_marks(arguments.write, "\n".join(lines), MARKS)


def pair_lines(lab: Lab, kinds: dict[str, Words]) -> list[str]:
    """What is told of pairs of words, by how often they are confused."""
    pairs = [pair for words in kinds.values() for pair in pairs_of(lab, words)]
    again = [told for words in kinds.values() for told in renamed(lab, words)]
    often = [pair for pair in pairs if pair.confused > 0.1]
    seldom = [pair for pair in pairs if pair.confused <= 0.03]
    lines = ["| pairs of words | n | doubted as confusable | that or remarked on |", "|---|---:|---:|---:|"]
    for name, some in (("more than 10 % confused", often), ("3 % or less confused", seldom)):
        doubted, remarked = ([getattr(pair, kind) for pair in some] for kind in ("doubted", "remarked"))
        lines.append(f"| {name} | {len(some)} | {np.mean(doubted):.1%} | {np.mean(remarked):.1%} |")
    lines.append(f"| the same word under two names | {len(again)} | {np.mean(again):.0%} | |")
    told = [f"{'-'.join(pair.names)} ({pair.confused:.0%})" for pair in pairs if pair.doubted]
    return [
        *lines,
        "",
        f"Doubted pairs, with the share of the more confused word's clips: {', '.join(told) or 'none'}.",
    ]


if __name__ == "__main__":
    main()
