"""A synthetic plant as a tree like that of DCASE 2023 Task 2: to train, test and compare systems without a download.

    <out>/<machine type>/train/section_00_source_train_normal_0000_speed_85_load_110.wav      990 source : 10 target
                        /test/section_00_<source|target>_test_<normal|anomaly>_0000_speed_85_load_110.wav
                        /attributes_00.csv   operating points         /faults_00.csv   what is broken, and how badly
    <out>/plant.json                         what it was made with

A machine type is a kind of machine (rotating, flow ...), a section one machine of it. A domain is a place with its room
and background; within a domain the machine runs at a few operating points, which are its attributes. Every clip has its
own seed, so what was begun goes on where it stopped, in any order and on any number of cores.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile as sf

from edged.errors import UsageError
from edged.flow import SAMPLE_RATE_HZ
from trainer.data.machine_kinds import KINDS, Fault, OperatingPoint
from trainer.data.machine_synth import PlantMachine, Surroundings, draw_fault, draw_plant, render_clip
from trainer.files import write_whole

SETTINGS_FILE = "plant.json"
MAX_CLIPS = 1_000_000
SEVERITIES = (0.2, 1.0)
"""From faults that can hardly be heard to severe ones."""
_DOMAINS = ("source", "target")
_SEEDS = {"train normal": 0, "test normal": 1, "test anomaly": 2}


@dataclass(frozen=True)
class PlantTree:
    """What to make; the same values make the same samples.

    Attributes:
        machines: number of machine types.
        sections: machines of each type.
        clips: normal training clips of each section.
        test: test clips of each section: a quarter each of source or target, normal or anomaly.
        points: operating points of each section in each domain.
        target_share: of the training clips.
        duration_s: of every clip.
        seed: of everything.
        suffix: of the files; both hold 16 bits.
    """

    machines: int = 7
    sections: int = 1
    clips: int = 1000
    test: int = 200
    points: int = 3
    target_share: float = 0.01
    duration_s: float = 10.0
    seed: int = 0
    suffix: Literal[".wav", ".flac"] = ".wav"

    @property
    def n_clips(self) -> int:
        """Files of the whole tree."""
        return self.machines * self.sections * (self.clips + self.test // 4 * 4)

    @property
    def target_clips(self) -> int:
        """Training clips of the target domain in each section: at least one, as long as there is a source clip too."""
        share = round(self.clips * self.target_share)
        return min(max(share, 1), self.clips - 1) if self.target_share > 0 and self.clips > 1 else 0


@dataclass(frozen=True)
class PlantClip:
    """One file of the tree.

    Attributes:
        path: relative to the tree.
        machine: index into the plant.
        domain: index into the domains of the plant's machine: an operating point in a place.
        seed: of what differs from clip to clip.
        attributes: ``speed_85_load_110``.
        fault: what is broken.
    """

    path: str
    machine: int
    domain: int
    seed: tuple[int, ...]
    attributes: str
    fault: Fault | None


@lru_cache(maxsize=2)
def plant_machines(tree: PlantTree) -> tuple[PlantMachine, ...]:
    """The machines, section by section of each type; `points` source domains, then as many target domains."""
    kinds = [kind for index in range(tree.machines) for kind in [list(KINDS)[index % len(KINDS)]] * tree.sections]
    drawn = draw_plant(tree.machines * tree.sections, tree.seed, kinds=kinds)
    return tuple(_at_points(item, tree, index) for index, item in enumerate(drawn))


def plant_clips(tree: PlantTree) -> Iterator[PlantClip]:
    """Every file of the tree, type by type."""
    for index in range(tree.machines * tree.sections):
        target = tree.target_clips
        yield from _clips(tree, index, "train", "normal", (tree.clips - target, target))
        for condition in ("normal", "anomaly"):
            n_test = tree.test // 4
            yield from _clips(tree, index, "test", condition, (n_test, n_test))


def write_clip(out: Path, tree: PlantTree, clip: PlantClip) -> None:
    """Render a clip; a file that is there is complete and stays.

    Raises:
        StorageError: the disk is full or refuses.
    """
    path = out / clip.path
    if path.exists():
        return
    item = plant_machines(tree)[clip.machine]
    samples = render_clip(item, clip.seed, domain=clip.domain, fault=clip.fault, duration_s=tree.duration_s)
    content = io.BytesIO()
    sf.write(content, samples, SAMPLE_RATE_HZ, format=tree.suffix[1:].upper(), subtype="PCM_16")
    write_whole(path, content.getbuffer())


def start_tree(out: Path, tree: PlantTree) -> list[PlantClip]:
    """Write what the tree is made with and its tables; returns the clips that are missing yet.

    Raises:
        UsageError: too many clips; the folder holds a tree made with other values, or something else.
        StorageError: the disk is full or refuses.
    """
    settings = json.dumps(asdict(tree), indent=2) + "\n"
    path = out / SETTINGS_FILE
    if tree.n_clips > MAX_CLIPS:
        raise UsageError(f"{tree.n_clips} clips are more than {MAX_CLIPS}", fix="make fewer machines or clips")
    if out.exists() and not path.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and holds no {SETTINGS_FILE}", fix="name a new folder")
    if path.exists() and path.read_text(encoding="utf-8") != settings:
        raise UsageError(
            f"{out}: holds a plant made with other values (see {path})", fix="give the same, or a new folder"
        )
    clips = list(plant_clips(tree))
    write_whole(path, settings.encode())
    _write_tables(out, clips)
    return [clip for clip in clips if not (out / clip.path).exists()]


def _at_points(item: PlantMachine, tree: PlantTree, index: int) -> PlantMachine:
    """The machine's two places, each at several ways of running: steps of 5 % of speed and load, no two alike."""
    rng = np.random.default_rng((tree.seed, index, 77))
    steps = np.arange(70, 131, 5)
    pairs = rng.permutation(len(steps) ** 2)[: 2 * tree.points]
    values = [(int(steps[pair // len(steps)]), int(steps[pair % len(steps)])) for pair in pairs]
    domains = [_run_at(item.domains[k // tree.points], *value) for k, value in enumerate(values)]
    return replace(item, domains=tuple(domains))


def _run_at(place: Surroundings, speed: int, load: int) -> Surroundings:
    return replace(place, point=OperatingPoint(speed / 100.0, load / 100.0))


def _clips(tree: PlantTree, index: int, split: str, condition: str, numbers: Sequence[int]) -> Iterator[PlantClip]:
    item = plant_machines(tree)[index]
    machine, section = divmod(index, tree.sections)
    folder = f"{item.kind}{machine // len(KINDS)}/{split}"
    for place, (domain, n_clips) in enumerate(zip(_DOMAINS, numbers, strict=True)):
        for number in range(n_clips):
            seed = (tree.seed, index, _SEEDS[f"{split} {condition}"], place, number)
            rng = np.random.default_rng((*seed, 1))
            chosen = place * tree.points + int(rng.integers(tree.points))
            fault = draw_fault(item, rng, SEVERITIES) if condition == "anomaly" else None
            attributes = _attributes(item.domains[chosen])
            name = f"section_{section:02d}_{domain}_{split}_{condition}_{number:04d}_{attributes}{tree.suffix}"
            yield PlantClip(f"{folder}/{name}", index, chosen, seed, attributes, fault)


def _attributes(place: Surroundings) -> str:
    return f"speed_{round(100 * place.point.speed)}_load_{round(100 * place.point.load)}"


def _write_tables(out: Path, clips: Sequence[PlantClip]) -> None:
    """Attributes as DCASE gives them, and beside them what no system may know: the faults."""
    by_section: dict[Path, list[PlantClip]] = {}
    for clip in clips:
        folder, name = out / Path(clip.path).parts[0], Path(clip.path).name
        by_section.setdefault(folder / f"_{name[8:10]}.csv", []).append(clip)
    for path, members in by_section.items():
        points = [(Path(c.path).as_posix(), *c.attributes.split("_")) for c in members]
        faults = [(c.path, c.fault.name, f"{c.fault.severity:.3f}") for c in members if c.fault]
        _write_csv(path.with_name(f"attributes{path.name}"), ("file_name", "d1p", "d1v", "d2p", "d2v"), points)
        _write_csv(path.with_name(f"faults{path.name}"), ("file_name", "fault", "severity"), faults)


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_whole(path, text.getvalue().encode())
