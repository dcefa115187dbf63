"""Streams, and what listens to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edged.settings.base import Name, Settings

ScoringName = Literal[
    "default", "shrinkage", "density", "density-cosine", "cosine", "lof", "gaussian", "mixture"
]  # fmt: skip
Scoring = ScoringName | Annotated[dict[str, ScoringName], Field(min_length=1)]


ThresholdMethod = Literal[
    "mst-sd", "mst-mad", "mst-iqr", "mst-gdp", "mst-hp", "sd", "mad", "iqr", "gdp", "hp", "cleversd"
]


class AnomalySettings(Settings):
    """A monitor that says when the stream does not sound as it normally does."""

    bundle: str = Field(default="default", min_length=1, description="`default`, or the directory of a bundle")
    scoring: Scoring = Field(
        default="default",
        description="back ends the enrolled clips are fitted by; `default` = the bundle's own, or one for each "
        "representation, as {embedding: lof}; `edged references refit` applies a change",
    )
    threshold: float | None = Field(default=None, gt=0.0, description="anomaly score; empty = from the enrolled clips")
    threshold_method: ThresholdMethod = Field(
        default="mst-sd",
        description="how the enrolled clips give a threshold: one or two stages (mst) of standard deviation, median "
        "absolute deviation, interquartile range, gamma or histogram percentile; or cleverSD",
    )
    false_alarms_per_day: float | None = Field(
        default=None,
        ge=0.01,
        le=1000.0,
        description="how many you accept: the threshold is found from what the daemon hears, as soon as that was long "
        "enough; until then the enrolled clips' own stands; empty = it always does",
    )
    false_alarm_confidence: float = Field(
        default=0.9,
        ge=0.5,
        le=0.99,
        description="confidence of the band stated for false alarms; the budget is kept with at least this confidence",
    )
    onset_segments: int = Field(default=2, ge=1, le=100, description="segments above the threshold that make an onset")
    onset_window: int = Field(default=3, ge=1, le=100, description="... out of this many latest segments")
    cleared_segments: int = Field(
        default=3, ge=1, le=100, description="segments in a row below the release that clear it"
    )
    release: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="release level = threshold lowered by this share of its distance from normal",
    )
    update_interval_s: float = Field(default=60.0, ge=1.0, le=86400.0, description="between updates while it lasts")
    drift_spreads: float | None = Field(
        default=2.0,
        gt=0.0,
        le=100.0,
        description="by how many spreads of the enrolled clips' scores those of hours must have risen to be drift; "
        "empty = do not look",
    )
    drift_window_h: float = Field(
        default=6.0, ge=0.01, le=168.0, description="hours of sound without alarm that tell drift"
    )
    deaf_below_db: float | None = Field(
        default=40.0,
        ge=6.0,
        le=120.0,
        description="an input this far below the quietest enrolled clip is deaf and not judged; empty = do not look",
    )
    hiss_beyond_db: float | None = Field(
        default=15.0,
        ge=6.0,
        le=120.0,
        description="white noise this far above or below the enrolled levels is the input's own and not judged; "
        "empty = do not look",
    )

    @model_validator(mode="after")
    def _window_holds_onset(self) -> AnomalySettings:
        if self.onset_segments > self.onset_window:
            raise ValueError("onset_segments cannot exceed onset_window")
        return self

    @model_validator(mode="after")
    def _one_source_of_the_threshold(self) -> AnomalySettings:
        if self.threshold is None:
            return self
        for key in ("false_alarms_per_day", "threshold_method"):
            if key in self.model_fields_set and getattr(self, key) is not None:
                raise ValueError(f"threshold fixes it, {key} finds it: keep one of the two")
        return self


class KeywordSettings(Settings):
    """A monitor that says when an enrolled word was spoken."""

    bundle: str = Field(default="default", min_length=1, description="`default`, or the directory of a bundle")
    threshold: float | None = Field(
        default=None, lt=0.0, description="score of all keywords (minus the distance); empty = from enrolment"
    )
    thresholds: dict[str, Annotated[float, Field(lt=0.0)]] = Field(
        default_factory=dict, description="score of single keywords"
    )
    false_alarms_per_hour: float | None = Field(
        default=None,
        ge=0.01,
        le=60.0,
        description="how many you accept of each word: its threshold is found from speech that came near to it without "
        "being it, in the bundle and in what the daemon hears; empty = the bundle's own threshold stands",
    )
    false_alarm_confidence: float = Field(
        default=0.8,
        ge=0.5,
        le=0.99,
        description="confidence with which the budget is kept, and of the band stated for false alarms",
    )

    @model_validator(mode="after")
    def _one_source_of_the_threshold(self) -> KeywordSettings:
        if self.threshold is not None and self.false_alarms_per_hour is not None:
            raise ValueError("threshold fixes it, false_alarms_per_hour finds it: keep one of the two")
        return self


class MonitorsSettings(Settings):
    """Which detectors run on a stream."""

    anomaly: AnomalySettings | None = None
    keyword: KeywordSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        """Accept `monitors: [anomaly]` and `anomaly:` with nothing behind it as "with its defaults"."""
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            return {name: {} if settings is None else settings for name, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> MonitorsSettings:
        if self.anomaly is None and self.keyword is None:
            raise ValueError("name at least one monitor: anomaly, keyword")
        return self


class StreamSettings(Settings):
    """One monitored mono signal: a device and a channel of it."""

    device: Name = Field(description="a key of `devices`")
    channel: int = Field(default=0, ge=0, le=63, description="channel of the device, from 0")
    reference_stream: Name | None = Field(
        default=None,
        description="another stream of the same device that hears the hall and not this machine: what both hear is "
        "discounted from this one's anomaly score; empty = nothing is",
    )
    reference_share: float = Field(
        default=0.5,
        gt=0.0,
        le=2.0,
        description="by how much of the reference stream's excess the score is lowered, at most down to normal",
    )
    monitors: MonitorsSettings = Field(description="`anomaly`, `keyword` or both")
