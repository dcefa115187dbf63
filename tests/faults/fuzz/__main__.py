"""Fuzz one target: `python -m tests.faults.fuzz TARGET --seconds N`.

Guided by the coverage of edged's own code where atheris is installed (`pip install atheris`), by seeded mutation else.
A finding ends it with a traceback and leaves the input; put it into `findings/TARGET/`, and it is tried ever after.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import sys
import tempfile
import time
from pathlib import Path

TARGETS = {
    "control": "control", "config": "files", "keys": "files", "wav": "files", "framing": "files",
    "manifest": "state", "archive": "state", "bank": "state",
}  # fmt: skip
"""Name -> the module it is made in."""
FINDINGS = Path(__file__).parent / "findings"


def make(name, directory):
    """A target that works in a directory."""
    return getattr(importlib.import_module(f"tests.faults.fuzz.{TARGETS[name]}"), name)(Path(directory))


def past_findings(name):
    """Inputs that once were findings."""
    return [path.read_bytes() for path in sorted((FINDINGS / name).glob("*"))]


def mutated(seeds, words, rng):
    """One of the seeds, changed in a few places."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 16)]
        elif kind == 2:
            data[at:at] = rng.choice([*words, "\0", "\xff" * 4]).encode()
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 8))
        else:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other) + 1) :]
    return bytes(data)


def main(arguments=None):
    """Fuzz; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    fuzz = _guided if importlib.util.find_spec("atheris") else _unguided
    with tempfile.TemporaryDirectory() as directory:
        fuzz(chosen, Path(directory))
    return 0


def _guided(chosen, directory):
    import atheris

    with atheris.instrument_imports(include=["edged", "yaml"]):
        target = make(chosen.target, directory)
    corpus, words = directory / "corpus", directory / "words"
    corpus.mkdir()
    for number, seed in enumerate([*target.seeds, *past_findings(chosen.target)]):
        (corpus / str(number)).write_bytes(seed)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")
    started_s = time.monotonic()

    def once(data):
        target(data)
        if time.monotonic() - started_s > chosen.seconds:
            _report(chosen, target, started_s, "guided by coverage")
            sys.stdout.flush()
            os._exit(0)

    limits = [
        "-timeout=20",
        "-rss_limit_mb=3000",
        f"-seed={chosen.seed}",
        "-max_len=20000",
        "-verbosity=0",
        "-print_final_stats=0",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-dict={words}", str(corpus)], once)
    atheris.Fuzz()


def _unguided(chosen, directory):
    target, rng = make(chosen.target, directory), random.Random(chosen.seed)
    seeds = [*target.seeds, *past_findings(chosen.target)]
    started_s = time.monotonic()
    while time.monotonic() - started_s < chosen.seconds:
        data = mutated(seeds, target.words, rng)
        try:
            target(data)
        except Exception:  # not the Ctrl-C that ends it
            Path(f"finding-{chosen.target}").write_bytes(data)
            raise
    _report(chosen, target, started_s, "mutated")


def _report(chosen, target, started_s, how):
    took_s = time.monotonic() - started_s
    print(f"{chosen.target}: {target.executions} executions in {took_s:.0f} s ({how}), "
          f"{target.accepted} accepted, no finding")  # fmt: skip


def _escaped(word):
    return "".join(c if c.isalnum() else f"\\x{b:02x}" for b in word.encode() for c in [chr(b)])


if __name__ == "__main__":
    sys.exit(main())
