"""A site on a simulated clock: a card that comes and goes, and all of edged from the child's code to the journal.

Only the process, PortAudio and the clock are fakes: what a child writes is encoded, goes through a pipe and is decoded.
"""

import os
import threading
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import soxr

from edged.capture.child import error_frame, frames_of
from edged.capture.framing import Frame, FrameKind, FrameReader, encode
from edged.capture.microphone import MicrophoneSource
from edged.capture.supervisor import Supervisor
from edged.clock import NS_PER_S, FakeClock
from edged.errors import EdgedError
from edged.flow import SAMPLE_RATE_HZ
from edged.service import Service
from tests.fakes.microphone import FakeSoundDevice
from tests.integration.helpers import hum

CARD = "Snowball"
LOOP_S = 8
ENDINGS = ("silent", "crash", "half a frame", "odd read", "hang", "noise", "rate")
CHILD_STARTS_IN_S = 0.2


@dataclass(frozen=True)
class Visit:
    """One stay of the card: it is away, is plugged in, and from when it is opened plays ``parts``, then goes.

    Attributes:
        parts: (seconds, sound of channel 0); channel 1 is always the normal machine. Sounds: those of `SOUNDS`.
        ending: one of `ENDINGS`.
        place: in PortAudio's list, which is the number it is opened by.
        is_ragged: reads are of every length from nothing to twice a block.
    """

    parts: tuple = ((1.8, "normal"), (1.6, "fault"))
    away_s: float = 0.0
    rate_hz: int = 16000
    ending: str = "silent"
    place: int = 0
    is_ragged: bool = False


def _loops():
    sounds = {"normal": hum(LOOP_S, 7), "fault": hum(LOOP_S, 8, fault=True)}
    sounds["flat"] = np.zeros_like(sounds["normal"])
    sounds["dc"] = sounds["normal"] + np.float32(0.5)
    sounds["clicks"] = sounds["normal"].copy()
    sounds["clicks"][:: SAMPLE_RATE_HZ // 2] = 1.0
    return sounds


SOUNDS = _loops()
_RESAMPLED = {}


def sound_at(kind, rate_hz, start, n_frames):
    """A loop of sound by the device's own index: what is heard depends on the true time alone."""
    key = (kind, rate_hz)
    if key not in _RESAMPLED:
        _RESAMPLED[key] = soxr.resample(SOUNDS[kind], SAMPLE_RATE_HZ, rate_hz).astype(np.float32)
    loop = _RESAMPLED[key]
    return loop[np.arange(start, start + n_frames) % len(loop)]


class Site(Service):
    """The daemon beside a card that follows a script of visits.

    After ``start`` wait for ``ended``; ``stop`` as ever.
    """

    def __init__(self, config, visits):
        self.time = FakeClock()
        super().__init__(config, clock=self.time)
        self.visits = list(visits)
        self.visit = None
        self.opened_s = 0.0
        self.plugged_s = self.visits[0].away_s
        self.first_s = None  # true time of the first sample heard
        self.last_s = 0.0
        self.faults_s = []  # true times
        self.delays_s = []  # from plugged in to heard
        self.is_paced = True
        self.rng = np.random.default_rng(0)
        self.on_part = lambda _kind: None
        self.ended = threading.Event()

    def _build(self):
        super()._build()
        (device,) = self.devices.values()
        device.supervisor = Supervisor(
            device.spec, device, self.config.capture,
            start_child=lambda spec: SimulatedChild(self, spec), now_s=self.now_s, wait=self._pass,
        )  # fmt: skip

    def now_s(self):
        return self.time.monotonic_ns() / NS_PER_S

    def _pass(self, duration_s):
        self.time.advance(duration_s)
        return False

    def keep_pace(self):
        """Simulated time goes no faster than the worker: a slow test computer is no fault of the daemon's."""
        if self.is_paced:
            with self._changed:
                fits = self._changed.wait_for(
                    lambda: all(s.inbox.queued_samples < 4 * SAMPLE_RATE_HZ for s in self.streams.values()), 60.0
                )
            assert fits

    @property
    def is_plugged(self):
        return bool(self.visits) and self.now_s() >= self.plugged_s

    def inputs(self):
        """PortAudio's list of the moment: the card has another number each time, and is not in it while away."""
        others = [{"name": f"other {n}", "max_input_channels": 1, "default_samplerate": 8000.0} for n in range(3)]
        if self.is_plugged:
            visit = self.visits[0]
            card = {"name": CARD, "max_input_channels": 2, "default_samplerate": float(visit.rate_hz)}
            others.insert(visit.place, card)
        return others

    def begin_visit(self):
        self.visit = self.visits[0]
        self.opened_s = self.now_s()
        self.delays_s.append(self.opened_s - self.plugged_s)

    def end_visit(self):
        self.visits.pop(0)
        if self.visits:
            self.plugged_s = self.now_s() + self.visits[0].away_s

    def wall_s(self, event):
        """Simulated seconds of an event."""
        moment = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
        return moment - (self.time.wall_ns() - self.time.monotonic_ns()) / NS_PER_S


class SimulatedChild:
    """A capture child's own code, in this process."""

    def __init__(self, site, spec):
        self._site = site
        self._read_fd, self._write_fd = os.pipe()
        self._reader = FrameReader(self._read_fd)
        self.pid = 0
        site.time.advance(CHILD_STARTS_IN_S)
        self._binding = FakeSoundDevice(site.inputs())
        self._spec = spec
        self._frames = self._run()
        self._parts = iter(())

    def _run(self):
        try:
            source = MicrophoneSource(replace(self._spec, silent_after_s=0.001), self._binding)
            self._site.begin_visit()
            self._parts = self._blocks(source)
            yield from frames_of(source, 0)
        except EdgedError as error:
            yield error_frame(error)

    def _blocks(self, source):
        """Delivers the next block of the script, one at each step."""
        site, visit, rate_hz = self._site, self._site.visit, source.format.rate_hz
        nominal = round(self._spec.block_s * rate_hz)
        for duration_s, kind in visit.parts:
            if kind == "fault":
                site.faults_s.append(site.now_s())
            site.on_part(kind)
            until_s = site.now_s() + duration_s
            while site.now_s() < until_s:
                n_frames = int(site.rng.integers(0, 2 * nominal)) if visit.is_ragged else nominal
                start = round(site.now_s() * rate_hz)
                site.first_s = site.now_s() if site.first_s is None else site.first_s
                site.time.advance(n_frames / rate_hz)
                site.last_s = site.now_s()
                frames = np.stack([sound_at(c, rate_hz, start, n_frames) for c in (kind, "normal")], axis=1)
                self._binding.stream.callback(frames.tobytes(), n_frames, None, FakeStatus)
                yield

    def read(self, timeout_s):
        site = self._site
        site.keep_pace()
        if site.visit is not None and next(self._parts, self) is self:
            return self._go(timeout_s)
        os.write(self._write_fd, encode(next(self._frames)))
        return self._reader.read(5.0)

    def _go(self, timeout_s):
        """The card is pulled out, in one of the ways that is seen of it here."""
        site, ending = self._site, self._site.visit.ending
        rate_hz = site.visit.rate_hz
        site.visit = None
        site.end_visit()
        if not site.visits:
            site.ended.set()
            return Frame(FrameKind.END, rate_hz, 2, 0)
        if ending == "silent":
            site.time.advance(self._spec.silent_after_s)
            os.write(self._write_fd, encode(next(self._frames)))
        elif ending == "odd read":
            self._binding.stream.callback(b"\0" * 12, -3, None, FakeStatus)
            os.write(self._write_fd, encode(next(self._frames)))
        elif ending == "half a frame":
            os.write(self._write_fd, encode(Frame(FrameKind.BLOCK, rate_hz, 2, 0, payload=bytes(800)))[:500])
            self.terminate()
        elif ending == "noise":
            os.write(self._write_fd, np.random.default_rng(0).bytes(2000))
        elif ending == "rate":
            other = Frame(FrameKind.BLOCK, rate_hz + 1, 2, 0, payload=bytes(800))
            os.write(self._write_fd, encode(other))
        elif ending == "hang":
            site.time.advance(timeout_s)
            return self._reader.read(0.001)
        else:
            self.terminate()
        return self._reader.read(5.0)

    def terminate(self):
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def end(self):
        self.terminate()
        os.close(self._read_fd)
        return "simulated"


class FakeStatus:
    input_overflow = False
