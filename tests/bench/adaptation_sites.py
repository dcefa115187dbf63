"""The machines of the adaptation study, each heard in its own place and after a shift, as vectors of the bundle.

Every clip is brought to one level. A real machine's shift is made here: another room and microphone, steady noise of
another colour, and recorded sounds (ESC-10, folds that training never heard) passing by. A synthetic machine is moved
to its second domain: another operating point, room and background.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edged.flow import Float32Array
from trainer.augment.channel import random_equaliser
from trainer.augment.noise import coloured_noise, cut_or_loop
from trainer.augment.room import room_response
from trainer.data import clips as data
from trainer.data.machine_synth import PlantMachine, draw_fault, draw_plant, render_clip
from trainer.evaluate.anomaly import Vectors

SEED = 31337
"""Of the synthetic machines; training uses others."""
CHUNK_S = 60.0
MINUTES = {"set": (0, 24), "check": (0, 24), "target": (1, 24)}
"""Part -> domain and minutes of normal sound: to set a threshold on, to check it, and after the shift."""
_SETS = ("source", "target")

Clips = Callable[[], Sequence[Float32Array]]


@dataclass(frozen=True)
class Site:
    """One machine.

    Attributes:
        name: of the row.
        kind: ``real`` or ``synthetic``.
        normal: domain -> normal clips.
        broken: domain -> broken clips.
        n_source: normal clips to enrol as the source.
        paired: whether clips of equal number are one recording in both domains: it is left out as one clip, and judged
            in neither domain when enrolled.
        n_splits: how often its clips are divided anew for a seed; few clips need it.
        listened: minutes of normal sound by part of `MINUTES`; may be empty.
    """

    name: str
    kind: str
    normal: dict[str, list[Vectors]]
    broken: dict[str, list[Vectors]]
    n_source: int
    paired: bool
    n_splits: int
    listened: dict[str, list[Vectors]]


class Cache:
    """Vectors of clips, kept in a directory: making and embedding them takes most of the study's time.

    Args:
        directory: where; one for each network.
        vectors_of: clip -> vectors.
    """

    def __init__(self, directory: Path, vectors_of: Callable[[Float32Array], Vectors]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._vectors_of = directory, vectors_of

    def vectors(self, key: str, clips: Clips) -> list[Vectors]:
        """Those of the clips, which are only made if the key is new."""
        path = self._directory / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if not path.is_file():
            found = [self._vectors_of(clip) for clip in clips()]
            arrays = {f"{number}/{name}": value for number, clip in enumerate(found) for name, value in clip.items()}
            with (new := path.with_suffix(".new")).open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            new.replace(path)
        with np.load(path) as archive:
            result: list[dict[str, Float32Array]] = []
            for key_of_clip in archive.files:
                number, name = key_of_clip.split("/")
                result += [{}] * (int(number) + 1 - len(result))
                result[int(number)] = {**result[int(number)], name: archive[key_of_clip]}
        return list(result)


def sites(root: Path, cache: Cache, n_synthetic: int, n_listened: int, seed: int) -> Iterator[Site]:
    """All machines: the real ones shifted to a place of this seed, and the synthetic ones.

    Args:
        n_synthetic: machines of the plant.
        n_listened: how many of these are listened to for minutes, to count false alarms.
    """
    yield from real_sites(root, cache, seed)
    passing = data.esc10_clips(root / "noise" / "esc10", folds="45")
    for index, item in enumerate(tqdm(draw_plant(n_synthetic, SEED), desc="machines", disable=None)):
        yield _synthetic_site(item, index, passing, cache, is_listened=index < n_listened)


def real_sites(root: Path, cache: Cache, seed: int) -> Iterator[Site]:
    """The real machines, shifted to a place of this seed."""
    passing = data.esc10_clips(root / "noise" / "esc10", folds="45")
    for number, real in enumerate(_real(root)):
        yield _real_site(*real, passing, cache, (seed, number))


def _real(root: Path) -> Iterator[tuple[str, list[Float32Array], list[Float32Array], int, float, bool]]:
    """Name, normal and broken clips, how many to enrol, SNR in dB after the shift, whether there is noise before it."""
    fan, uav, motors = (root / "machines" / name for name in ("mimii_fan_id00", "uav", "bldc"))
    yield "fan (MIMII id_00)", data.read_tree(fan / "normal"), data.read_tree(fan / "abnormal"), 10, -3.0, False
    broken = data.read_tree(uav, "*_broken/*.flac")
    yield "drones in noise, -10 dB", data.read_tree(uav / "normal"), broken, 15, -10.0, True
    healthy, propeller = data.read_tree(motors / "healthy"), data.read_tree(motors / "propeller")
    yield "motors (bldc)", healthy, propeller, 6, 0.0, False


def _real_site(
    name: str,
    normal: list[Float32Array],
    broken: list[Float32Array],
    n_source: int,
    snr_db: float,
    is_noisy: bool,
    passing: Sequence[Float32Array],
    cache: Cache,
    seed: tuple[int, int],
) -> Site:
    before = _noisy if is_noisy else _plain
    places = {"source": before(passing, snr_db, seed), "target": _shifted(passing, snr_db, seed)}

    def heard(domain: str, side: str, clips: list[Float32Array]) -> list[Vectors]:
        return cache.vectors(
            f"real {name} {snr_db} {domain} {side} {seed if domain == 'target' or is_noisy else ''}",
            lambda: [places[domain](clip, (*seed, side == "broken", k)) for k, clip in enumerate(clips)],
        )

    sides = {side: {d: heard(d, side, clips) for d in _SETS} for side, clips in (("n", normal), ("broken", broken))}
    return Site(
        name,
        "real",
        sides["n"],
        sides["broken"],
        n_source,
        paired=True,
        n_splits=4 if n_source <= 10 else 1,
        listened={},
    )


Place = Callable[[Float32Array, tuple[int, ...]], Float32Array]


def _plain(_passing: Sequence[Float32Array], _snr_db: float, _seed: tuple[int, int]) -> Place:
    """As recorded, at the common level."""
    return lambda clip, _clip_seed: data.at_level(clip)


def _noisy(passing: Sequence[Float32Array], snr_db: float, _seed: tuple[int, int]) -> Place:
    """With a recorded sound, another in every clip."""

    def place(clip: Float32Array, seed: tuple[int, ...]) -> Float32Array:
        rng = np.random.default_rng((SEED, *seed))
        return data.mixed(clip, cut_or_loop(rng, passing[int(rng.integers(len(passing)))], len(clip)), snr_db)

    return place


def _shifted(passing: Sequence[Float32Array], snr_db: float, seed: tuple[int, int]) -> Place:
    """In another room, by another microphone, in steady noise of one colour with recorded sounds passing by."""
    rng = np.random.default_rng((SEED, *seed))
    response = room_response(rng, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.0, 9.0)))
    exponent, microphone = float(rng.uniform(0.5, 2.0)), int(rng.integers(2**31))

    def place(clip: Float32Array, clip_seed: tuple[int, ...]) -> Float32Array:
        own = np.random.default_rng((SEED, 1, *clip_seed))
        dry = np.fft.irfft(np.fft.rfft(clip, 2 * len(clip)) * np.fft.rfft(response, 2 * len(clip)))[: len(clip)]
        heard = random_equaliser(np.random.default_rng(microphone), dry.astype(np.float32))
        noise = coloured_noise(own, len(clip), exponent)
        if own.random() < 0.5:
            sound = cut_or_loop(own, passing[int(own.integers(len(passing)))], len(clip))
            noise = noise + np.float32(own.uniform(0.3, 1.5)) * data.at_level(sound, 1.0)
        return data.mixed(heard, noise, snr_db + float(own.normal(0.0, 1.0)))

    return place


def unseen_sites(
    root: Path, cache: Cache, n_machines: int, seed: int, n_normal: tuple[int, int], n_broken: int
) -> Iterator[Site]:
    """Synthetic machines of another plant than the study's: what is decided on them was not fitted to it.

    Args:
        n_normal: clips of the source and of the target.
        n_broken: clips of either domain.
    """
    passing = data.esc10_clips(root / "noise" / "esc10", folds="45")
    for index, item in enumerate(tqdm(draw_plant(n_machines, seed), desc="machines", disable=None)):
        sides = [
            {
                domain: _rendered(item, index, code, number, n, passing, cache, seed=seed)
                for number, (domain, n) in enumerate(zip(_SETS, counts, strict=True))
            }
            for code, counts in enumerate((n_normal, (n_broken, n_broken)))
        ]
        yield Site(f"{item.kind} {index}", "synthetic", *sides, 0, paired=False, n_splits=1, listened={})


def _synthetic_site(
    item: PlantMachine, index: int, passing: Sequence[Float32Array], cache: Cache, is_listened: bool
) -> Site:
    """40 clips of either domain to enrol from and judge, 20 broken ones, and minutes to listen to."""
    normal, broken = {}, {}
    for number, domain in enumerate(_SETS):
        normal[domain] = _rendered(item, index, 0, number, 40, passing, cache)
        broken[domain] = _rendered(item, index, 1, number, 20, passing, cache)
    listened = {}
    if is_listened:
        for code, (part, (number, n_minutes)) in enumerate(MINUTES.items()):
            listened[part] = _rendered(item, index, 2 + code, number, n_minutes, passing, cache, CHUNK_S)
    return Site(f"{item.kind} {index}", "synthetic", normal, broken, 20, paired=False, n_splits=1, listened=listened)


def _rendered(
    item: PlantMachine, index: int, code: int, domain: int, n: int, passing: Sequence[Float32Array], cache: Cache,
    duration_s: float = 10.0, seed: int = SEED,
) -> list[Vectors]:  # fmt: skip
    rng = np.random.default_rng((seed, index, code, domain))
    faults = [draw_fault(item, rng, (0.3, 0.9)) if code == 1 else None for _ in range(n)]

    def clips() -> list[Float32Array]:
        seeds = [(seed, index, code, domain, k) for k in range(n)]
        return [
            render_clip(item, own, domain=domain, fault=fault, noises=passing, duration_s=duration_s)
            for own, fault in zip(seeds, faults, strict=True)
        ]

    return cache.vectors(f"synthetic {seed} {index} {code} {domain} {n} {duration_s}", clips)
