"""The one thread that takes the segments of all streams, embeds them together, scores and decides."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edged.embed.protocol import Embedder
from edged.explain.onset import judged
from edged.flow import SAMPLE_RATE_HZ, Block, Embedding, Outcome, Segment
from edged.pipeline import Monitor
from edged.runtime.stream import Stream

TAKE_SAMPLES = 2 * SAMPLE_RATE_HZ
_IDLE_S = 0.5

Publish = Callable[[Stream, Monitor, Outcome], None]
Observe = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """A segment that waits for its embedding."""

    stream: Stream
    monitor: Monitor
    segment: Segment


class Worker:
    """Empties the inboxes of all streams.

    Args:
        streams: reference streams before those that name them. They are taken from in reverse: whatever has been heard
            of a stream, as much has then been heard of its reference, which is scored first.
        embedder_of: the embedder of a monitor's bundle; monitors of one bundle share it, and its batch.
        publish: takes what a monitor makes of a segment.
        observe: takes (stage, seconds) for the metrics.
        changed: notified when an inbox changes.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        embedder_of: Callable[[Monitor], Embedder],
        publish: Publish,
        changed: threading.Condition,
        observe: Observe = lambda _stage, _seconds: None,
    ) -> None:
        self._streams = streams
        self._embedder_of = embedder_of
        self._publish = publish
        self._changed = changed
        self._observe = observe
        self._between: deque[Callable[[], None]] = deque()
        self._abandoned = False
        self.steps = 0
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_done(self) -> bool:
        """Whether every stream has ended and is scored to its end."""
        return all(stream.is_finished for stream in self._streams)

    @property
    def has_work(self) -> bool:
        """Whether something waits in an inbox."""
        return any(stream.inbox.has_blocks for stream in self._streams)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def use_bank(self, monitor: Monitor, bank: Any) -> None:
        """Let a monitor use other references from its next segment on; from any thread."""
        self.between_segments(lambda: self._give_bank(monitor, bank))

    def _give_bank(self, monitor: Monitor, bank: Any) -> None:
        outcome = monitor.use_bank(bank)
        if outcome.detections:
            stream = next(stream for stream in self._streams if monitor in stream.monitors)
            self._publish(stream, monitor, outcome)

    def between_segments(self, action: Callable[[], None]) -> None:
        """Do something short before the next segment is judged; from any thread."""
        self._between.append(action)
        with self._changed:
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait until every stream is done; whether that came in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """End after the step at hand: what still waits counts as lost."""
        self._abandoned = True
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while not self.is_done:
            with self._changed:
                self._changed.wait_for(self._should_act, _IDLE_S)
            self._act_between_segments()
            self._step()
            self.steps += 1

    def _should_act(self) -> bool:
        ended = any(stream.inbox.is_over and not stream.is_finished for stream in self._streams)
        return self.has_work or ended or bool(self._between) or self._abandoned

    def _act_between_segments(self) -> None:
        while self._between:
            self._between.popleft()()

    def _step(self) -> None:
        """Some audio of every stream: features, one batch per embedder, scores, decisions."""
        if self._abandoned:
            for stream in self._streams:
                self._drop(stream)
        jobs: list[_Job] = []
        taken = {s.name: s.inbox.take(TAKE_SAMPLES) for s in reversed(self._streams) if s.inbox.has_blocks}
        heard = [stream for stream in self._streams if stream.name in taken]
        for stream in heard:
            for block in taken[stream.name]:
                jobs += self._segments(stream, block)
        self._score(jobs)
        ended = [stream for stream in self._streams if stream.inbox.is_over and not stream.is_finished]
        for stream in ended:
            self._finish(stream)
        for stream in dict.fromkeys((*heard, *ended)):
            stream.keep_books()

    def _segments(self, stream: Stream, block: Block) -> list[_Job]:
        started_s = time.perf_counter()
        jobs = [_Job(stream, monitor, segment) for monitor in stream.monitors for segment in monitor.push(block)]
        self._observe("features", time.perf_counter() - started_s)
        return jobs

    def _score(self, jobs: list[_Job]) -> None:
        """Words first: they do not wait while onsets are explained, a twentieth of a second each."""
        for job, embedding in self._embedded(sorted(jobs, key=lambda job: job.monitor.name != "keyword")):
            started_s = time.perf_counter()
            outcome = judged(job.monitor, job.segment, embedding, self._embedder_of(job.monitor))
            self._observe("score", time.perf_counter() - started_s)
            self._publish(job.stream, job.monitor, outcome)

    def _embedded(self, jobs: list[_Job]) -> list[tuple[_Job, Embedding]]:
        """Every job with its embedding, in the order of the jobs; one batch for each embedder."""
        batches: dict[int, tuple[Embedder, list[int]]] = {}
        for number, job in enumerate(jobs):
            embedder = self._embedder_of(job.monitor)
            batches.setdefault(id(embedder), (embedder, []))[1].append(number)
        found: dict[int, Embedding] = {}
        for embedder, numbers in batches.values():
            started_s = time.perf_counter()
            found.update(zip(numbers, embedder.embed([jobs[n].segment for n in numbers]), strict=True))
            self._observe("embed", time.perf_counter() - started_s)
        return [(job, found[number]) for number, job in enumerate(jobs)]

    def _finish(self, stream: Stream) -> None:
        """The stream's end: last segments, pending decisions, and what is lost after the last block."""
        self._score([_Job(stream, monitor, segment) for monitor in stream.monitors for segment in monitor.flush()])
        for monitor in stream.monitors:
            self._publish(stream, monitor, monitor.finish())
            monitor.accounting.missing += stream.inbox.lost_at_end
        stream.is_finished = True

    def _drop(self, stream: Stream) -> None:
        """Count everything that waits as lost."""
        stream.inbox.end()
        lost = sum(block.lost_before + len(block.samples) for block in stream.inbox.take(1 << 62))
        for monitor in stream.monitors:
            monitor.accounting.missing += lost
