"""What is enrolled on a stream, for `edged references show` and the control socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edged.errors import StateError
from edged.references.bank import records_of_facts
from edged.references.store import BankStore


def overview(store: BankStore, stream: str) -> dict[str, Any]:
    """JSON-serialisable facts of every bank on a stream.

    Raises:
        StateError: nothing was ever enrolled there.
    """
    monitors = {}
    for monitor in ("anomaly", "keyword"):
        versions = [asdict(version) for version in store.versions(stream, monitor)]
        if versions:
            monitors[monitor] = _active_facts(store, stream, monitor) | {"versions": versions}
    if not monitors:
        raise StateError(f"stream '{stream}': nothing is enrolled", fix="run `edged enroll --clips DIR` first")
    return {"stream": stream, "monitors": monitors}


def _active_facts(store: BankStore, stream: str, monitor: str) -> dict[str, Any]:
    stored = store.load_active(stream, monitor)
    if stored is None:
        return {"version": 0, "bundle": "", "labels": {}, "anomalies": [], "counters": [], "averaged": [], "clips": []}
    labels = [record.label for record in records_of_facts(stored.facts)]
    return {
        "version": stored.version,
        "bundle": stored.facts["bundle"],
        "threshold": stored.facts.get("threshold"),
        "scoring": stored.facts.get("scoring"),
        "labels": {label: labels.count(label) for label in dict.fromkeys(labels)},
        "anomalies": _labelled(stored.facts),
        "counters": [
            {"word": one["word"], "name": one["name"], "clips": len(one["clips"])}
            for one in stored.facts.get("counters", ())
        ],
        "averaged": stored.facts.get("averaged", []),
        "clips": stored.facts["clips"],
    }


def _labelled(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Labelled anomalies, and whether the threshold respects them."""
    lost = facts.get("inseparable", ())
    return [
        {key: one[key] for key in ("event_id", "labelled_at", "insists")}
        | {"is_respected": one["event_id"] not in lost}
        for one in facts.get("labelled", ())
    ]
