"""Watching the daemon while the scene plays: note what it says, show it, and let the operator act on it."""

from __future__ import annotations

import time

from edged.demo.commands import Daemon
from edged.demo.operator import Operator
from edged.demo.record import Record
from edged.demo.story import chapter
from edged.demo.timeline import MACHINES, Timeline
from edged.demo.view import View
from edged.demo.workspace import Workspace
from edged.events.subscriber import Subscriber

REFRESH_S = 0.1
SILENCE_ENDS_S = 10.0
"""Wall time without news of the scene after which it counts as over."""


class Watch:
    """One scene, from the first event until every monitor has taken in all of it."""

    def __init__(self, workspace: Workspace, timeline: Timeline, view: View) -> None:
        self._timeline = timeline
        self._view = view
        self._record = Record()
        self._operator = Operator(workspace, timeline)

    def record_of(self, subscriber: Subscriber, daemon: Daemon) -> Record:
        """Everything that was said.

        Raises:
            DemoError: the daemon ended, or a command failed.
        """
        heard_until_s, news_at = 0.0, time.monotonic()
        try:
            while not self._record.holds_all(self._timeline.duration_s) and time.monotonic() < news_at + SILENCE_ENDS_S:
                self._next(subscriber)
                daemon.check()
                if self._record.now_s > heard_until_s:
                    heard_until_s, news_at = self._record.now_s, time.monotonic()
        finally:
            self._operator.give_up()
        return self._record

    def _next(self, subscriber: Subscriber) -> None:
        event = subscriber.receive(timeout_s=REFRESH_S)
        said = self._record.take(event) if event else None
        if said:
            self._view.said(said)
        now_s = self._record.now_s
        for enrolment in self._operator.react(self._record):
            self._view.command(now_s, enrolment.command)
        enrolling, enrolled = bool(self._operator.enrolling), len(self._record.enrolled) == len(MACHINES)
        self._view.show(self._record, chapter(self._timeline, now_s, enrolling=enrolling, enrolled=enrolled))
