"""The plant that `streams` measures with: cards of several channels, every stream enrolled by the shipped bundles."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from edged.demo.scene import Plant as Hall
from edged.flow import Float32Array
from tests.bench.hall_sound import LOOP_S, WORD, Span, card_sound, rounds
from tests.bench.paced_writer import PERIOD_FRAMES, RATE_HZ, Card, write_plan
from tests.integration.helpers import Plant

N_KINDS = 2
FIRST_S = 47.0
"""A card begins so much later in its loop than the one before it."""


@dataclass(frozen=True)
class Layout:
    """Which stream is which channel of which card, and where a word is enrolled."""

    n_streams: int
    n_keyword: int
    n_channels: int

    def __post_init__(self) -> None:
        if self.n_channels < 1 or not 0 <= self.n_keyword <= self.n_streams:
            raise ValueError("a card has a channel, and no more streams listen for words than there are")

    def place(self, stream: int) -> tuple[int, int]:
        """(card, channel)."""
        return divmod(stream, self.n_channels)

    @property
    def cards(self) -> range:
        """Their numbers."""
        return range(-(-self.n_streams // self.n_channels))

    @property
    def keyword_streams(self) -> list[int]:
        """Spread over the cards."""
        return sorted(range(self.n_streams), key=lambda n: self.place(n)[::-1])[: self.n_keyword]

    def first_s(self, card: int) -> float:
        """Where in its loop a card begins."""
        return card * FIRST_S % LOOP_S


class Site:
    """Sounds, clips, references and configuration in a directory."""

    def __init__(self, directory: Path, layout: Layout) -> None:
        self.layout, self.directory = layout, directory
        self.kinds = [card_sound(seed, layout.n_channels) for seed in range(min(N_KINDS, len(layout.cards)))]
        for number, kind in enumerate(self.kinds):
            np.save(directory / f"{number}.npy", kind.loop)
            for channel, clips in enumerate(kind.clips):
                _write_clips(directory / f"normal-{number}-{channel}", clips)
        _write_clips(directory / "word", Hall.drawn(np.random.default_rng(0)).keyword_clips(np.random.default_rng(1)))
        self.plant = Plant(directory, "default")
        for card in layout.cards:
            os.mkfifo(directory / f"card{card}")
            device = {"source": "pcm", "path": str(directory / f"card{card}"), "channels": layout.n_channels}
            self.plant.settings["devices"][f"card{card}"] = device
        self.plant.settings["events"] = {}  # as shipped
        for number in range(layout.n_streams):
            self._add(number)

    def _add(self, number: int) -> None:
        name, (card, channel) = f"s{number}", self.layout.place(number)
        monitors = ["anomaly", "keyword"] if number in self.layout.keyword_streams else ["anomaly"]
        self.plant.settings["streams"][name] = {"device": f"card{card}", "channel": channel, "monitors": monitors}
        self.plant.enroll(name, self.directory / f"normal-{card % len(self.kinds)}-{channel}")
        if "keyword" in monitors:
            self.plant.enroll(name, self.directory / "word", keyword=WORD)

    def plan(self, duration_s: float) -> Path:
        """For the writer."""
        path = self.directory / "plan.json"
        cards = [
            Card(
                str(self.directory / f"card{card}"), str(self.directory / f"{card % len(self.kinds)}.npy"),
                round(self.layout.first_s(card) * RATE_HZ / PERIOD_FRAMES),
            )
            for card in self.layout.cards
        ]  # fmt: skip
        write_plan(path, cards, duration_s)
        return path

    def heard(self, stream: int, duration_s: float, *, words: bool = False) -> list[Span]:
        """The true faults, or words, of a stream."""
        card, channel = self.layout.place(stream)
        kind = self.kinds[card % len(self.kinds)]
        if words and (channel != 0 or stream not in self.layout.keyword_streams):
            return []
        spans = kind.words if words else [kind.faults[channel]]
        return [one for span in spans for one in rounds(span, self.layout.first_s(card), duration_s)]


def _write_clips(folder: Path, clips: Iterable[Float32Array]) -> None:
    folder.mkdir()
    for number, clip in enumerate(clips):
        soundfile.write(folder / f"{number:02d}.wav", clip, RATE_HZ, subtype="PCM_16")
