"""What a reference stream saves: false onsets by noises of the hall, and faults that are still found.

    python tests/bench/near_far.py [--scenes 6] [--minutes 10] [--shares 0.1 0.5 1.0]

A machine near one microphone, a hall heard by both, noises in the hall, faults at the machine (some during a noise).
Segments of 1 s scored by statistics and density, the daemon's defaults else. A false onset is one without a fault.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import soundfile
from rich.progress import track

from edged.assembly import Assembly
from edged.config import Config
from edged.configfile import parse_config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.features.anomaly import AnomalySpec
from edged.offline import judge_file
from edged.references.enroll import enroll_paths
from edged.references.store import BankStore
from tests.fakes.hall import Scene, Span, quiet, scene
from tests.fakes.sounds import RATE_HZ

N_CLIPS = 12


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.5, 1.0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(table(Path(folder), arguments.scenes, arguments.minutes, [None, *arguments.shares]))


def table(folder: Path, n_scenes: int, minutes: float, shares: Sequence[float | None]) -> str:
    """Markdown: a row for every share, the first without a reference stream."""
    site = Site(folder)
    made = [scene(minutes, 100 + k, n_noises=9, n_faults=6, n_both=3) for k in range(n_scenes)]
    paths = [site.record(f"scene{k}.wav", one.sound) for k, one in enumerate(made)]
    lines = ["| share | noises that raise an onset | other false onsets | faults found | during a noise |"]
    lines.append("|---|---:|---:|---:|---:|")
    for share in shares:
        listed = track(list(zip(paths, made, strict=True)), description=f"share {share}", transient=True)
        counts = [count(site.onsets(path, share), one) for path, one in listed]
        n_noises = sum(len(one.noises) - both(one) for one in made)
        sums = [sum(column) for column in zip(*counts, strict=True)]
        n_both = sum(both(one) for one in made)
        n_faults = sum(len(one.faults) for one in made) - n_both
        name = "no reference" if share is None else f"{share:g}"
        shown = f"{sums[0]} of {n_noises} | {sums[1]} | {sums[2]} of {n_faults} | {sums[3]} of {n_both}"
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def count(onsets: Sequence[Span], made: Scene) -> tuple[int, int, int, int]:
    """Noises (without a fault) that raised an onset, other false onsets, faults found alone, and during a noise."""
    alone = [noise for noise in made.noises if not any(noise == fault for fault in made.faults)]
    noisy = [fault for fault in made.faults if fault in made.noises]
    clear = [fault for fault in made.faults if fault not in made.noises]
    spurious = [o for o in onsets if not any(span.meets(o.start_s, o.end_s) for span in (*made.noises, *made.faults))]

    def found(spans: Sequence[Span]) -> int:
        return sum(any(span.meets(o.start_s, o.end_s) for o in onsets) for span in spans)

    return found(alone), len(spurious), found(clear), found(noisy)


def both(made: Scene) -> int:
    """Faults during a noise."""
    return sum(fault in made.noises for fault in made.faults)


class Site:
    """A state directory with both streams enrolled, and a configuration for every share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = AnomalySpec(segment_samples=16000, hop_samples=4096, inputs=())
        manifest = Manifest(
            kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=4096,
            features=spec.model_dump(mode="json"), features_digest=spec.digest(),
            representations=(RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
            score_direction="higher_is_more_anomalous",
        )  # fmt: skip
        self._bundle = str(write_bundle(folder / "bundle", manifest).directory)
        clips = [self.record(f"clips/{k}.wav", quiet(5.0, k)) for k in range(N_CLIPS)]
        with BankStore(folder / "state") as store:
            for stream, channel in (("near", 0), ("far", 1)):
                enroll_paths(Assembly(self.config(None)), store, stream, clips, channel=channel)

    def config(self, share: float | None) -> Config:
        """The two streams of one device."""
        monitors = {"anomaly": {"bundle": self._bundle}}
        linked = {} if share is None else {"reference_stream": "far", "reference_share": share}
        streams = {
            "near": {"device": "a", "channel": 0, "monitors": monitors, **linked},
            "far": {"device": "a", "channel": 1, "monitors": monitors},
        }
        devices = {"a": {"source": "file", "path": str(self.folder / "scene0.wav"), "speed": 0}}
        return parse_config({"state_dir": str(self.folder / "state"), "devices": devices, "streams": streams}, "bench")

    def record(self, name: str, sound: object) -> Path:
        """Write a file of both channels."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
        return path

    def onsets(self, path: Path, share: float | None) -> list[Span]:
        """Alarms of the near stream, from onset to offset."""
        assembly = Assembly(self.config(share))
        with BankStore(self.folder / "state") as store:
            near, far = assembly.monitor(store, "near", "anomaly"), assembly.reference_monitor(store, "near")
        found = judge_file(path, near, assembly, channel=0, reference=far).detections
        ends = [d.offset_sample for d in found if d.kind == "cleared"]
        starts = [d.onset_sample for d in found if d.kind == "onset"]
        ends += [starts[-1] + RATE_HZ] * (len(starts) - len(ends))
        return [Span(a / RATE_HZ, b / RATE_HZ) for a, b in zip(starts, ends, strict=True)]


if __name__ == "__main__":
    main()
