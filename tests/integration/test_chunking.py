"""Offline and live are the same pipeline: any cutting of the signal gives the same events, and so does the daemon."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.flow import Block
from edged.offline import event_fields, judge_blocks
from edged.references.store import BankStore
from tests.fakes.sounds import RATE_HZ, machine, sentence, word

N_CHUNKINGS = 50


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A state directory with a machine and two words enrolled, and a signal that holds a fault and the words."""
    from edged.references.enroll import enroll_paths

    folder = tmp_path_factory.mktemp("site")
    for seed in range(12):
        (folder / "normal").mkdir(exist_ok=True)
        sf.write(folder / "normal" / f"{seed}.wav", machine(10, seed), RATE_HZ)
    for name in ("alpha", "omega"):
        (folder / name).mkdir()
        for seed in range(3):
            sf.write(folder / name / f"{seed}.wav", np.pad(word(name, seed), 4000), RATE_HZ)
    assembly = Assembly(parse_config({}, "test"))
    with BankStore(folder / "state") as store:
        enroll_paths(assembly, store, "fan", [folder / "normal"])
        for name in ("alpha", "omega"):
            enroll_paths(assembly, store, "fan", [folder / name], keyword=name)
    spoken, _ = sentence(["omega", "alpha", "other", "alpha"], seed=5)
    fault = np.concatenate([machine(14, 90), machine(20, 91, fault=True), machine(36, 92)])
    signal = np.concatenate([fault, np.resize(spoken, 8 * RATE_HZ)])
    return folder, signal.astype(np.float32)


def events(folder: Path, blocks: list[Block]) -> list[dict[str, object]]:
    assembly = Assembly(parse_config({}, "test"))
    with BankStore(folder / "state") as store:
        found = []
        for monitor in assembly.enrolled_monitors(store, "fan"):
            for outcome in judge_blocks(blocks, monitor, assembly):
                found += [event_fields(Path("x"), monitor.name, detection) for detection in outcome.detections]
            books = monitor.accounting
            assert books.received == books.scored + books.dropped + books.pending
            assert books.pending == 0
        return found


def cut(signal: np.ndarray, rng: np.random.Generator) -> list[Block]:
    """Random block lengths from one sample to seconds, on a logarithmic scale."""
    lengths = np.exp(rng.uniform(np.log(1), np.log(5 * RATE_HZ), 4000)).astype(int)
    edges = np.concatenate([[0], np.cumsum(np.maximum(1, lengths))])
    edges = np.append(edges[edges < len(signal)], len(signal))
    return [Block(int(a), signal[a:b]) for a, b in itertools.pairwise(edges)]


@pytest.mark.timeout(900)  # a minute on a free core; busy machines must not fail it
def test_fifty_random_chunkings_give_identical_events(site):
    folder, signal = site
    expected = events(folder, [Block(0, signal)])
    kinds = {event["kind"] for event in expected}
    assert {"onset", "cleared"} <= kinds
    assert "keyword" in kinds
    for seed in range(N_CHUNKINGS):
        assert events(folder, cut(signal, np.random.default_rng(seed))) == expected, f"chunking {seed} differs"


def test_the_daemon_gives_the_events_of_edged_score(site, tmp_path):
    folder, signal = site
    sf.write(tmp_path / "signal.wav", signal, RATE_HZ, subtype="FLOAT")
    config = {
        "state_dir": str(folder / "state"),
        "runtime_dir": str(tmp_path),
        "exit_when_done": True,
        "devices": {"a": {"source": "file", "path": str(tmp_path / "signal.wav"), "speed": 0}},
        "streams": {"fan": {"device": "a", "monitors": ["anomaly", "keyword"]}},
    }
    (tmp_path / "edged.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "edged.cli.main"]
    daemon = subprocess.run(
        [*command, "run", "--config", tmp_path / "edged.yaml"], capture_output=True, text=True, timeout=240, check=False
    )
    assert daemon.returncode == 0, daemon.stderr
    journal = subprocess.run(
        [*command, "events", "--jsonl", "--config", tmp_path / "edged.yaml"], capture_output=True, text=True, check=True
    )
    live = [json.loads(line) for line in journal.stdout.splitlines()]
    kept = ("monitor", "kind", "onset_s", "offset_s", "score", "threshold", "sample_start", "sample_end")
    seen = sorted(
        tuple(event[key] for key in kept)
        for event in live
        if event["kind"] in ("onset", "update", "cleared", "keyword")
    )
    offline = sorted(tuple(event[key] for key in kept) for event in events(folder, [Block(0, signal)]))
    assert seen == offline
