"""What was found, as plain values for JSON, rounded to what the measurement is worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edged.bench.capacity import Capacity
from edged.bench.capture import CaptureCost
from edged.bench.networks import BatchTime
from edged.bench.rehearsal import Rehearsed
from edged.bench.site import Site
from edged.bench.stages import MonitorCost, Stage
from edged.embed.bundle import Bundle
from edged.flow import SAMPLE_RATE_HZ


def rounded(value: float | None, digits: int = 3) -> float | None:
    """To significant digits.

    >>> rounded(0.0123456), rounded(1234.5), rounded(None)
    (0.0123, 1230.0, None)
    """
    return None if value is None else float(f"{value:.{digits}g}")


def ms(seconds: float) -> float:
    """Milliseconds."""
    return float(f"{1000 * seconds:.3g}")


def percent(share: float) -> float:
    """Of one."""
    return float(f"{100 * share:.3g}")


def site_facts(site: Site, *, is_shipped: bool) -> dict[str, Any]:
    """Which streams, and whether they are compared with what is really enrolled."""
    return {
        "of": "shipped bundles" if is_shipped else "configuration",
        "count": len(site.config.streams),
        "devices": len(site.config.devices),
        "stand_in_references": list(site.stand_ins),
        "notes": list(site.notes),
    }


def network_facts(bundle: Bundle, runs_on: str, times: Sequence[BatchTime], *, on_gpu: bool) -> dict[str, Any]:
    """Batches of a network, and how many streams it alone would allow for, on one core or the GPU."""
    every_s = bundle.manifest.hop_samples / SAMPLE_RATE_HZ
    best_s = min((time.segment_s if on_gpu else time.cpu_s / time.size for time in times), default=0.0)
    return {
        "bundle": bundle.label,
        "kind": bundle.manifest.kind,
        "runs_on": runs_on,
        "batches": [
            {
                "size": time.size,
                "p50_ms": ms(time.p50_s),
                "p99_ms": ms(time.p99_s),
                "segment_ms": ms(time.segment_s),
                "cpu_ms": ms(time.cpu_s),
            }
            for time in times
        ],
        "streams_per": "GPU" if on_gpu else "core",
        "streams_of_network_alone": int(every_s / best_s) if best_s else None,
    }


def absent_network(bundle: Bundle, name: str, reason: str) -> dict[str, Any]:
    """What cannot run a network here."""
    return {"bundle": bundle.label, "kind": bundle.manifest.kind, "runs_on": None, "absent": name, "reason": reason}


def monitor_facts(cost: MonitorCost, against: Sequence[object]) -> dict[str, Any]:
    """The stages of a monitor."""
    return {
        "monitor": cost.monitor,
        "bundle": cost.bundle,
        "runs_on": cost.runs_on,
        "against": str(against[0]),
        "segment_every_s": rounded(cost.segment_every_s),
        "stages": [_stage(stage) for stage in cost.stages],
        "percent_of_core": percent(cost.load),
    }


def capture_facts(target: str, cost: CaptureCost) -> dict[str, Any]:
    """Both sides of a device."""
    return {
        "device": Path(target).stem,
        "streams": cost.n_streams,
        "stages": [_stage(cost.child), _stage(cost.reader)],
        "percent_of_core": percent(cost.child.load + cost.reader.load),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "p50_ms": ms(stage.p50_s),
        "p99_ms": ms(stage.p99_s),
        "cpu_ms_per_s": ms(stage.load),
        "calls": stage.calls,
    }


def rehearsal_facts(seen: Rehearsed) -> dict[str, Any]:
    """A daemon in real time."""
    delays = seen.delays_s
    return {
        "streams": seen.streams,
        "seconds": rounded(seen.seconds),
        "start_to_ready_s": rounded(seen.ready_s),
        "kept_up_percent": percent(seen.done),
        "percent_of_core": percent(seen.daemon_load + seen.children_load),
        "daemon_percent_of_core": percent(seen.daemon_load),
        "capture_children_percent_of_core": percent(seen.children_load),
        "daemon_resident_mib": round(seen.daemon.resident),
        "daemon_peak_mib": round(seen.daemon.peak),
        "capture_child_private_mib": round(seen.child.private),
        "score_delay_ms": {f"p{p}": ms(float(np.percentile(delays, p))) for p in (50, 99)} if delays else None,
        "scores": len(delays),
        "lost_samples": seen.lost_samples,
        "waiting_s": rounded(seen.waiting_s),
    }


def capacity_facts(name: str, found: Capacity, *, is_rehearsed: bool) -> dict[str, Any]:
    """What is to be expected."""
    return {
        "kind": name or "this configuration",
        "keeps_up_with_streams": {"at_least": found.at_least if is_rehearsed else None, "at_most": found.streams},
        "beside_what_ran_meanwhile": found.beside_others,
        "limit": found.limit,
        "limiting_stage": found.stage,
        "its_share_percent": percent(found.share),
        "percent_of_core_per_stream": percent(found.load),
        "is_rehearsed": is_rehearsed,
        "delay_ms": ms(found.delay_s),
        "all_at_once": {"streams": found.at_once, "delay_ms": ms(found.all_at_once_s)},
    }
