"""Thresholds that were found for a budget of false alarms, in the state database: a restart and `edged score` use them.

They belong to one version of a bank and to one budget; whoever reads them says which, and gets none made for another.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edged.config import AnomalySettings
from edged.errors import StateError
from edged.state import Database, transaction

_SCHEMA = """CREATE TABLE IF NOT EXISTS found_thresholds (
    stream TEXT NOT NULL, monitor TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (stream, monitor)) STRICT"""


@dataclass(frozen=True)
class FoundThresholds:
    """Thresholds of one version of a bank.

    Attributes:
        bank: the version.
        false_alarms_per_day: the budget they keep; of every domain as long as it is heard.
        confidence: with which.
        threshold: anomaly score, whatever the domain of the nearest reference.
        domains: for those domains that were heard long enough by themselves.
    """

    bank: int
    false_alarms_per_day: float
    confidence: float
    threshold: float
    domains: Mapping[str, float] = field(default_factory=dict)

    def of(self, domain: str) -> float:
        """The threshold for a segment nearest to a domain.

        >>> FoundThresholds(1, 0.5, 0.9, 4.0, {"hot": 5.0}).of("cold")
        4.0
        """
        return self.domains.get(domain, self.threshold)


THRESHOLD_SETTINGS = {"threshold", "threshold_method", "false_alarms_per_day", "false_alarm_confidence"}


def threshold_settings(settings: AnomalySettings) -> dict[str, Any]:
    """Those settings that say where the threshold comes from: they can change while a monitor runs."""
    return settings.model_dump(include=THRESHOLD_SETTINGS)


class ThresholdStore(Database):
    """Found thresholds of one state directory; one instance belongs to one thread.

    Raises:
        StateError: the database cannot be used.
    """

    SCHEMA = (_SCHEMA,)

    def save(self, stream: str, monitor: str, found: FoundThresholds) -> None:
        """Replace those of a monitor.

        Raises:
            StateError: the database refused; the old ones stand.
        """
        row = (stream, monitor, json.dumps(asdict(found)))
        with transaction(self._connection) as connection:
            connection.execute("INSERT OR REPLACE INTO found_thresholds VALUES (?,?,?)", row)

    def load(self, stream: str, monitor: str) -> FoundThresholds | None:
        """Those of a monitor, whatever bank and budget they are for.

        Raises:
            StateError: they cannot be read.
        """
        sql = "SELECT facts FROM found_thresholds WHERE stream=? AND monitor=?"
        try:
            rows: list[Any] = self._connection.execute(sql, (stream, monitor)).fetchall()
            return FoundThresholds(**json.loads(rows[0][0])) if rows else None
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StateError(f"{stream}/{monitor}: found thresholds: {error}", fix="they are found anew") from error


@dataclass(frozen=True)
class ThresholdChoice:
    """Which threshold judges a segment: the configured one, one found for the budget, or that of the enrolled clips.

    Attributes:
        settings: of the monitor.
        bank: version of the references in use.
        of_enrolment: threshold of their clips.
        found: for whatever bank and budget.
    """

    settings: AnomalySettings
    bank: int
    of_enrolment: float
    found: FoundThresholds | None = None

    @property
    def applicable(self) -> FoundThresholds | None:
        """The found thresholds, if they were found for just these references and this budget."""
        asked = (self.bank, self.settings.false_alarms_per_day, self.settings.false_alarm_confidence)
        found = self.found
        if found is None or self.settings.threshold is not None:
            return None
        return found if asked == (found.bank, found.false_alarms_per_day, found.confidence) else None

    def of(self, domain: str | None = None) -> float:
        """The threshold for a segment nearest to a domain; None: whatever the domain."""
        if self.settings.threshold is not None:
            return self.settings.threshold
        found = self.applicable
        if found is None:
            return self.of_enrolment
        return found.threshold if domain is None else found.of(domain)
