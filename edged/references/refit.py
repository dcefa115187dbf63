"""Fitting a bank again from the vectors it holds, by the scoring the configuration chooses; no clips are needed."""

from __future__ import annotations

from dataclasses import dataclass

from edged.assembly import Assembly
from edged.errors import StateError
from edged.references import anomaly
from edged.references.store import BankStore
from edged.score.choices import scoring_text


@dataclass(frozen=True)
class RefitReport:
    """What a refit did.

    Attributes:
        version: in use now.
        scoring: back ends the bank is fitted by, as in the configuration.
        changed: whether there is a new version; False where fitting gave what was there.
    """

    stream: str
    monitor: str
    version: int
    scoring: str
    threshold: float
    changed: bool


def refit_stream(assembly: Assembly, store: BankStore, stream: str) -> RefitReport:
    """Fit a stream's anomaly references by the scoring in force; a new version in one transaction, if it differs.

    Raises:
        ConfigError: the scoring does not fit the bundle.
        StateError: nothing is enrolled, the bank cannot be used, or the database refused; nothing has changed.
    """
    bundle = assembly.bundle(stream, anomaly.MONITOR)
    current = assembly.bank(store, stream, anomaly.MONITOR)
    if not isinstance(current, anomaly.AnomalyBank):
        fix = "run `edged enroll --clips DIR` first"
        raise StateError(f"stream '{stream}': no references of an anomaly monitor are enrolled", fix=fix)
    scoring = assembly.scoring(stream)
    bank = anomaly.fitted_bank(bundle, current.clips, current.references, scoring, current.labelled)
    shown = scoring_text(bank.scoring)
    if _same(bank, current):
        return RefitReport(stream, anomaly.MONITOR, current.version, shown, current.threshold, changed=False)
    facts, arrays = anomaly.bank_to_store(bank, bundle)
    reason = f"refitted by scoring {shown}"
    version = store.commit(stream, anomaly.MONITOR, facts, arrays, reason=reason, based_on=current.version)
    return RefitReport(stream, anomaly.MONITOR, version, shown, bank.threshold, changed=True)


def _same(left: anomaly.AnomalyBank, right: anomaly.AnomalyBank) -> bool:
    """Whether two banks judge alike, to the bit."""
    ours, theirs = left.scorer.to_arrays(), right.scorer.to_arrays()
    if (left.scoring, left.threshold, ours.keys()) != (right.scoring, right.threshold, theirs.keys()):
        return False
    return all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)
