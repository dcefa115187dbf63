"""How often the enrolment gate doubts a good set, and how often it finds what does not belong.

    python tests/bench/gate.py [--draws N]

Good sets are drawn from one condition of one machine: real recordings, the demo's plants at both loads, and synthetic
machines past which something drives in every other clip. Into half of a draw's sets clips of another machine are
planted. Labels: one clip of a fault is labelled, then its like, known normal sound, and normal sound of a domain that
was never enrolled come to the gate.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edged
from edged.assembly import Assembly
from edged.capture.files import read_clip
from edged.configfile import parse_config
from edged.demo.scene import CLIP_S, Plant
from edged.demo.timeline import MACHINES
from edged.flow import SAMPLE_RATE_HZ, Embedding, Float32Array
from edged.references.anomaly import AnomalyBank, extended_bank, labelled_bank
from edged.references.clips import ANOMALY_CLIPS, Clip, clip_of_samples
from edged.references.embedding import embed_clip
from edged.references.gate import judge, stacked
from edged.references.gate_labelled import resembling
from edged.references.labelled import labelled_now
from trainer.data.clips import data_directory, esc10_clips
from trainer.data.machine_synth import draw_fault, draw_plant, render_clip

SIZES = (5, 8, 12, 20)
N_PLANTS, N_SYNTHETIC = 4, 8

Embedded = list[tuple[Clip, list[Embedding]]]


@dataclass(frozen=True)
class Machine:
    """Embedded clips of a machine: normal ones by condition, and a fault in the first of them."""

    name: str
    group: str
    conditions: tuple[Embedded, ...]
    fault: Embedded


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1, help="sets of each size from each condition")
    draws = parser.parse_args().draws
    assembly = Assembly(parse_config({}, "bench"))
    machines = [embedded(assembly, *facts) for facts in recordings(data_directory())]
    print(sets_table(assembly, machines, draws))
    print(labels_table(assembly, machines))
    stamp = datetime.datetime.now(datetime.timezone.utc).date()
    print(f"\n{stamp}, numpy {np.__version__}, python {platform.python_version()}, edged {edged.__version__}.")


Recorded = tuple[str, str, list[list[Float32Array]], list[Float32Array]]


def recordings(root: Path) -> Iterator[Recorded]:
    """Name, group, normal clips by condition, and clips of a fault."""
    sets = {"mimii_fan_id00": ("normal", "abnormal"), "bldc": ("healthy", "propeller"), "uav": ("normal", "1_broken")}
    for name, (normal, fault) in sets.items():
        tree = root / "machines" / name
        read = [[read_clip(p) for p in sorted((tree / part).rglob("*.flac"))] for part in (normal, fault)]
        yield name, "real", [read[0]], read[1]
    for seed in range(N_PLANTS):
        plant = Plant.drawn(np.random.default_rng([seed, 0]))
        by_load = [plant.clips(load, 20, np.random.default_rng([seed, 3, int(load)])) for load in (0.0, 1.0)]
        none, all_ = (np.full(int(6 * CLIP_S) * SAMPLE_RATE_HZ, level, np.float32) for level in (0.0, 1.0))
        broken = plant.heard(none, dict.fromkeys(MACHINES, all_), np.random.default_rng([seed, 9]))
        for stream in MACHINES:
            normal = [clips[stream] for clips in by_load]
            yield f"{stream} {seed}", "demo", normal, np.split(broken[stream], 6)
    yield from synthetic(root)


def synthetic(root: Path) -> Iterator[Recorded]:
    """Machines in rooms, with passers-by."""
    noises = esc10_clips(root / "noise" / "esc10", folds="45")
    for index, item in enumerate(draw_plant(N_SYNTHETIC, seed=4242)):
        rng = np.random.default_rng((4242, index))
        normal = [[render_clip(item, (4242, index, d, k), noises=noises, domain=d) for k in range(20)] for d in (0, 1)]
        faults = [render_clip(item, (4242, index, 7, k), noises=noises, fault=draw_fault(item, rng)) for k in range(5)]
        yield f"{item.name}", "synthetic", normal, faults


def embedded(
    assembly: Assembly, name: str, group: str, conditions: list[list[Float32Array]], fault: list[Float32Array]
) -> Machine:
    """Every clip by the shipped bundle."""
    bundle = assembly.bundle("m", "anomaly")
    embedder = assembly.embedder(bundle)

    def all_of(part: str, clips: Sequence[Float32Array]) -> Embedded:
        made = [clip_of_samples(f"{name}/{part}/{k}", clip, ANOMALY_CLIPS) for k, clip in enumerate(clips)]
        return [(clip, embed_clip(clip.samples, bundle, embedder)) for clip in made]

    normal = tuple(all_of(str(number), clips) for number, clips in enumerate(conditions))
    return Machine(name, group, normal, all_of("fault", fault))


def sets_table(assembly: Assembly, machines: list[Machine], draws: int) -> str:
    """Doubted good sets and found strangers, by kind of machine."""
    rng = np.random.default_rng(0)
    good: dict[str, list[bool]] = {}
    found: dict[int, list[bool]] = {1: [], 3: []}
    shown: list[bool] = []
    for machine in machines:
        for condition in machine.conditions:
            for size in (size for size in SIZES for _ in range(draws) if size <= len(condition)):
                chosen = [condition[k] for k in rng.permutation(len(condition))[:size]]
                good.setdefault(machine.group, []).append(bool(doubted(assembly, chosen)))
                strangers = _strangers(machines, machine, rng)
                for n_strangers in (n for n in found if n <= size // 3 or n == 1):
                    mixed = [*chosen[:-n_strangers], *strangers[:n_strangers]]
                    named = doubted(assembly, mixed)
                    found[n_strangers].append(any(clip.name in named for clip, _ in strangers[:n_strangers]))
                    if n_strangers == 1:
                        shown.append(strangers[0][0].name in doubted(assembly, mixed, also_shown=True))
    lines = ["| sets | n | doubted |", "|---|---:|---:|"]
    lines += [f"| good, {group} | {len(hits)} | {np.mean(hits):.1%} |" for group, hits in good.items()]
    lines += [f"| {n} clip(s) of another machine | {len(h)} | {np.mean(h):.0%} |" for n, h in found.items()]
    return "\n".join([*lines, f"| 1 clip of another machine, doubted or shown | {len(shown)} | {np.mean(shown):.0%} |"])


def doubted(assembly: Assembly, clips: Embedded, *, also_shown: bool = False) -> set[str]:
    """Names of the clips of a first set that the gate doubts, or also of those that it only shows to stand apart."""
    bundle = assembly.bundle("m", "anomaly")
    finding = judge(bundle, None, extended_bank(bundle, None, clips, "source"), clips, "source")
    return {clip.name for clip in finding.clips if clip.verdict == "doubtful" or (also_shown and clip.reason)}


def _strangers(machines: list[Machine], but: Machine, rng: np.random.Generator) -> Embedded:
    others = [machine for machine in machines if machine.name != but.name]
    return others[int(rng.integers(len(others)))].conditions[0][:3]


def labels_table(assembly: Assembly, machines: list[Machine]) -> str:
    """Share of clips refused after one clip of a fault was labelled that the monitor notices."""
    like, known, unseen = [], [], []
    for machine in machines:
        bank = _labelled(assembly, machine, 0)
        if bank is None:
            continue
        like += refused(bank, machine.fault[1:])
        known += refused(bank, machine.conditions[0][len(machine.conditions[0]) // 2 :])
        if len(machine.conditions) > 1 and (other := _labelled(assembly, machine, 1)) is not None:
            unseen += refused(other, machine.conditions[0])  # the fault was heard in a condition that is not enrolled
    rows: Mapping[str, list[bool]] = {
        "more of a labelled fault": like, "known normal sound": known, "normal sound of a domain never enrolled": unseen
    }  # fmt: skip
    lines = ["", "| clips after a label | n | refused |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {len(hits)} | {np.mean(hits):.1%} |" for name, hits in rows.items())])


def _labelled(assembly: Assembly, machine: Machine, condition: int) -> AnomalyBank | None:
    """Half of a condition enrolled, and a fault labelled; None where the monitor would not notice the fault."""
    bundle = assembly.bundle("m", "anomaly")
    normal = machine.conditions[condition]
    bank = extended_bank(bundle, None, normal[: len(normal) // 2], "source")
    one = labelled_now("e", "fault", "", stacked(machine.fault[0][1]), bank.scorer, insists=False)
    return labelled_bank(bundle, bank, (one,)) if one.score(bank.scorer) > bank.threshold else None


def refused(bank: AnomalyBank, clips: Embedded) -> list[bool]:
    """Whether each clip sounds like what was labelled."""
    found = resembling(bank, [stacked(embeddings) for _, embeddings in clips])
    return [place in found for place in range(len(clips))]


if __name__ == "__main__":
    main()
