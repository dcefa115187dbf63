"""From the configuration, in seconds and hours, to the settings of the decisions, in segments."""

from __future__ import annotations

from edged.config import AnomalySettings
from edged.decide.drift import DriftSettings
from edged.decide.hysteresis import HysteresisSettings


def hysteresis_settings(settings: AnomalySettings, hop_s: float) -> HysteresisSettings:
    """When an alarm begins and ends."""
    return HysteresisSettings(
        onset_count=settings.onset_segments,
        onset_window=settings.onset_window,
        clear_count=settings.cleared_segments,
        release=settings.release,
        update_every=max(1, round(settings.update_interval_s / hop_s)),
    )


def drift_settings(settings: AnomalySettings, hop_s: float) -> DriftSettings | None:
    """What counts as drift; None where it is not looked for."""
    if settings.drift_spreads is None:
        return None
    return DriftSettings.of_hours(settings.drift_window_h, settings.drift_spreads, hop_s)
