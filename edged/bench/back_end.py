"""The back end of a monitor by itself: distances of an embedding, without any decision."""

from __future__ import annotations

from collections.abc import Callable

from edged.errors import UsageError
from edged.flow import Embedding
from edged.pipeline import AnomalyMonitor, KeywordMonitor, Monitor
from edged.score.dtw import StreamingDtw


def back_end_of(monitor: Monitor) -> Callable[[Embedding], object]:
    """What scores an embedding in a monitor, by itself.

    Raises:
        UsageError: nothing is enrolled.
    """
    if isinstance(monitor, AnomalyMonitor) and monitor.bank:
        scorer = monitor.bank.scorer
        return lambda embedding: scorer.score(embedding.vectors)
    if isinstance(monitor, KeywordMonitor) and monitor.bank:
        model, frames = monitor.bank.model, monitor.bundle.manifest.representations[0].name
        dtw = StreamingDtw(model.templates)
        return lambda embedding: model.combine(dtw.push(embedding.vectors[frames]))
    raise UsageError(f"stream '{monitor.stream}': nothing is enrolled for {monitor.name}")
