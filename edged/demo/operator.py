"""The person at the plant: sees the alarms after a change that she made herself, and enrols the new sound."""

from __future__ import annotations

from edged.demo.commands import Enrolment, start_enrolment
from edged.demo.record import Enrolled, Record
from edged.demo.timeline import MACHINES, Timeline
from edged.demo.workspace import TARGET_DOMAIN, Workspace

PATIENCE_S = 30.0
"""Scene time she waits for the second machine's alarm after the first one's."""
LATEST_S = 75.0
"""Scene time after the change at which she enrols in any case."""


class Operator:
    """Reacts to what was heard; `enrolling` holds the commands at work."""

    def __init__(self, workspace: Workspace, timeline: Timeline) -> None:
        self._workspace = workspace
        self._shift_s = timeline.shift_s
        self._asked_s: float | None = None
        self.enrolling: list[Enrolment] = []

    def react(self, record: Record) -> list[Enrolment]:
        """Begin or finish enrolments; those that were begun now."""
        self._finish(record)
        if self._asked_s is not None or not self._has_seen_enough(record):
            return []
        self._asked_s = record.now_s
        self.enrolling = [
            start_enrolment(self._workspace, stream, TARGET_DOMAIN, "--domain", TARGET_DOMAIN) for stream in MACHINES
        ]
        return list(self.enrolling)

    def give_up(self) -> None:
        """End commands that are still at work."""
        for enrolment in self.enrolling:
            enrolment.end()

    def _has_seen_enough(self, record: Record) -> bool:
        alarms = [said for said in record.said if said.kind == "onset" and said.at_s > self._shift_s]
        if not alarms:
            return record.now_s > self._shift_s + LATEST_S
        everywhere = {said.stream for said in alarms} >= set(MACHINES)
        return everywhere or record.now_s > alarms[0].at_s + PATIENCE_S

    def _finish(self, record: Record) -> None:
        for enrolment in [e for e in self.enrolling if e.is_done]:
            version = int(enrolment.report()["version"])
            asked_s = self._asked_s if self._asked_s is not None else record.now_s
            record.enrolled.append(Enrolled(enrolment.stream, asked_s, record.now_s, enrolment.wall_s, version))
            self.enrolling.remove(enrolment)
