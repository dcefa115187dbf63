"""False alarms per hour asked for and had, word by word, on hours of speech and noise without the words.

    python tests/bench/keyword_budget.py [--bundle DIR] [--draws 2] [--cache DIR] [--write]

    telephone   5 wake words; heard meanwhile: coffee orders, wake phrases, noise
    orders      10 words of coffee orders; heard meanwhile: telephone sentences, wake phrases, noise

Five shots a word, enrolled by the product's own path; limits found for the budget from the bundle's background alone,
and once more after half of the speech has been heard (judged on the other half). Missed: of what is spoken in the
task's own files, at those limits. None of these recordings is in the bundle's background.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.assembly import open_bundle
from edged.config import KeywordSettings
from edged.decide.keyword import KeywordDecider
from edged.decide.near_misses import NearMissCollector, NearMisses
from edged.decide.tail import gamma_quantile
from edged.embed.bundle import Bundle, load_bundle
from edged.references.keyword import KeywordBank
from edged.references.keyword_fit import FittedWords, fitted_words
from edged.references.keyword_limits import LimitFinder, WordLimit, limits_of
from edged.references.templates import template_of_clip
from edged.score.dtw import StreamingDtw
from trainer.data.clips import data_directory
from trainer.data.keywords import read_audio
from trainer.evaluate.anomaly import write_between_marks
from trainer.evaluate.keyword_sets import ORDER_WORDS, Task, orders_task, telephone_task
from trainer.evaluate.keyword_trial import HOLD_FRAMES, HOP_S, HOP_SAMPLES, System, product_system
from trainer.evaluate.spotting import Spotted, matched

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- keyword-budget: begin -->", "<!-- keyword-budget: end -->")
BUDGETS = (0.5, 1.0, 5.0)
CONFIDENCE = KeywordSettings().false_alarm_confidence
Rows = Mapping[str, np.ndarray]
Trace = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """A task and the speech that holds none of its words, as folders of cached rows."""

    make: Callable[[Path, int], tuple[Task, object]]
    own: str
    silent: Sequence[str]


TRIALS = {
    "telephone": Trial(telephone_task, "wuw2", ("barista", "wakewords")),
    "orders": Trial(lambda data, seed: orders_task(data, seed, ORDER_WORDS), "barista", ("wuw2", "wakewords")),
}


def rows_of(folder: Path, system: System, cache: Path | None, label: str) -> dict[str, np.ndarray]:
    """Every recording below a folder, by its name in it: float16 rows."""
    kept = cache / f"{label}-{folder.name}.npz" if cache else None
    if kept and kept.is_file():
        with np.load(kept) as found:
            return {name.replace("|", "/"): found[name] for name in found.files}
    paths = sorted(p for p in folder.rglob("*") if p.suffix in {".flac", ".ogg", ".wav"})
    rows = {}
    for path in tqdm(paths, desc=folder.name, leave=False):
        rows[path.relative_to(folder).as_posix()] = system.embed(read_audio(path)).astype(np.float16)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **{name.replace("/", "|"): value for name, value in rows.items()})
    return rows


def bank_of(task: Task, bundle: Bundle, system: System) -> KeywordBank:
    """The words of a task as they are enrolled."""
    templates = {
        word: [template_of_clip(word, clip, system.embed(clip), HOP_SAMPLES) for clip in clips]
        for word, clips in task.shots.items()
    }
    words: FittedWords = fitted_words(bundle, templates)
    return KeywordBank(1, (), (), words.model, near_misses=words.near_misses)


def traces(bank: KeywordBank, rows: Rows) -> dict[str, Trace]:
    """Distances and starts of every word in every recording."""
    dtw, found = StreamingDtw(bank.model.templates), {}
    for name, values in rows.items():
        dtw.reset()
        distances, starts = bank.model.combine(dtw.push(values.astype(np.float32)))
        found[name] = distances.astype(np.float32), starts.astype(np.int32)
    return found


def spotted(bank: KeywordBank, trace: Trace, limits: Sequence[float]) -> list[Spotted]:
    """What the decision finds in a recording at these limits."""
    distances, starts = np.asarray(trace[0], np.float64), np.asarray(trace[1], np.int64)
    decider = KeywordDecider(bank.model.word_frames, limits, HOLD_FRAMES)
    found = decider.push(0, distances, starts) + decider.flush(len(distances))
    return [Spotted(bank.model.words[m.word], m.frame_start * HOP_S, m.frame_end * HOP_S, m.distance) for m in found]


def heard(bank: KeywordBank, recordings: Mapping[str, Trace]) -> dict[str, list[NearMisses]]:
    """What a running monitor would remember of these recordings."""
    model = bank.model
    collector = NearMissCollector(model.word_frames, HOP_S, np.full(len(model.words), model.limit))
    for distances, starts in recordings.values():
        collector.push(0, np.asarray(distances, np.float64), np.asarray(starts, np.int64))
        collector.reset()
    return {model.identity(place): [part] for place, part in enumerate(collector.take())}


@dataclass(frozen=True)
class Realised:
    """One budget on one draw.

    Attributes:
        alarms: per word, on speech without it.
        hours: of that speech.
        noise_alarms, noise_hours: the same on noise without speech.
        expected: (n_words, 3) what was foreseen per hour: low, middle, high.
        missed: share of what was spoken.
        ready: share of the words with a limit for the budget.
    """

    alarms: np.ndarray
    hours: float
    noise_alarms: int
    noise_hours: float
    expected: np.ndarray
    missed: float
    ready: float


def realised(
    bank: KeywordBank, found: Sequence[WordLimit], spoken: tuple[Task, Mapping[str, Trace]],
    silent: Mapping[str, Trace], noise: Mapping[str, Trace],
) -> Realised:  # fmt: skip
    """What the limits give."""
    task, own = spoken
    limits = limits_of(found)
    alarms = [s.word for trace in silent.values() for s in spotted(bank, trace, limits)]
    hits = sum(sum(matched(spotted(bank, own[name], limits), truth)) for name, truth in task.spoken.items())
    n_spoken = sum(map(len, task.spoken.values()))
    return Realised(
        np.array([alarms.count(word) for word in bank.model.words]), hours_of(silent),
        sum(len(spotted(bank, trace, limits)) for trace in noise.values()), hours_of(noise),
        np.array([[one.rate.low_per_hour, one.rate.per_hour, one.rate.high_per_hour] for one in found]),
        1.0 - hits / n_spoken, float(np.mean([one.needed_h is None for one in found])),
    )  # fmt: skip


def hours_of(recordings: Mapping[str, Trace]) -> float:
    """Length of recordings in hours."""
    return sum(len(distances) for distances, _ in recordings.values()) * HOP_S / 3600.0


def halves(recordings: Mapping[str, Trace]) -> tuple[dict[str, Trace], dict[str, Trace]]:
    """Every other recording, and the others."""
    names = sorted(recordings)
    return {n: recordings[n] for n in names[::2]}, {n: recordings[n] for n in names[1::2]}


def line(name: str, after: str, budget: float, runs: Sequence[Realised]) -> str:
    """A row of the table, over draws."""
    hours = sum(run.hours for run in runs) / len(runs)
    per_word = np.concatenate([run.alarms / run.hours for run in runs])
    counts = np.concatenate([run.alarms for run in runs])
    plausible = [count <= 1 or gamma_quantile(float(count), 0.05) <= budget * hours for count in counts.tolist()]
    n_words = len(runs[0].alarms)
    noise = sum(run.noise_alarms for run in runs) / sum(run.noise_hours for run in runs) / n_words
    low, middle, high = np.concatenate([run.expected for run in runs]).mean(axis=0)
    missed = np.array([run.missed for run in runs])
    cells = (
        name, after, f"{budget:g}", f"{middle:.2g} ({low:.1g} to {high:.2g})",
        f"{per_word.mean():.2f} (worst {per_word.max():.1f})", f"{np.mean(plausible):.0%}", f"{noise:.2f}",
        f"{missed.mean():.2f} ± {missed.std():.2f}", f"{np.mean([run.ready for run in runs]):.0%}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table; optionally write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None, help="[the shipped one]")
    parser.add_argument("--draws", type=int, default=2, help="of the shots")
    parser.add_argument("--cache", type=Path, default=None, help="keeps embeddings between runs")
    parser.add_argument("--write", action="store_true", help="into edged/README.md")
    arguments = parser.parse_args()
    data = data_directory()
    bundle = load_bundle(arguments.bundle) if arguments.bundle else open_bundle("keyword")
    system, _ = product_system(bundle.directory)
    label = bundle.manifest.files["model.onnx"][:12]
    speech = {n: rows_of(data / "speech" / n, system, arguments.cache, label) for n in ("wuw2", "barista", "wakewords")}
    noise = rows_of(data / "noise", system, arguments.cache, label)
    head = ("words", "heard before", "budget", "foreseen", "had, per word", "kept", "in noise", "missed", "found")
    lines = ["| " + " | ".join(head) + " |", "|---|---|---:|---|---|---:|---:|---|---:|"]
    hours = 0.0
    for name, trial in TRIALS.items():
        runs: dict[tuple[str, float], list[Realised]] = {}
        for seed in range(arguments.draws):
            task, _ = trial.make(data, seed)
            bank = bank_of(task, bundle, system)
            own = traces(bank, {file: speech[trial.own][file] for file in task.spoken})
            files = {f"{f}/{n}": rows for f in trial.silent for n, rows in speech[f].items() if _is_free(f, n)}
            silent, quiet = traces(bank, files), traces(bank, noise)
            first, second = halves(silent)
            hours = hours_of(silent)
            for after, known, judged in (("", {}, silent), ("half of it", heard(bank, first), second)):
                for budget in BUDGETS:
                    settings = KeywordSettings(false_alarms_per_hour=budget)
                    found = LimitFinder(bank, settings, known).all()
                    runs.setdefault((after, budget), []).append(realised(bank, found, (task, own), judged, quiet))
        lines += [line(name, after, budget, found) for (after, budget), found in runs.items()]
        print("\n".join(lines), flush=True)
    about = (
        f"False alarms per hour of each word, five shots, {arguments.draws} draws, confidence {CONFIDENCE:.0%}; "
        f"{hours:.1f} h of speech without\nthe words. Foreseen: mean over words (of the band's ends). "
        "Kept: share of words whose alarms a rate at the budget leaves\nlikely enough (5 %, Poisson). "
        "Found: share of words with a limit for it."
    )
    made = f"{date.today().isoformat()}, {bundle.label}. Made by `python tests/bench/keyword_budget.py`."
    text = "\n".join([about, "", *lines, "", made])
    print(text)
    if arguments.write:
        write_between_marks(ROOT / "edged" / "README.md", text, MARKS)


def _is_free(folder: str, name: str) -> bool:
    """Of the telephone calls the sentences: speech as it comes."""
    return folder != "wuw2" or int(Path(name).stem[-3:]) > 5


if __name__ == "__main__":
    main()
