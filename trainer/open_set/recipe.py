"""How few-shot open-set classification is run: the fields of the rows of Table 29."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.errors import ConfigError
from edged.flow import SAMPLE_RATE_HZ
from trainer.external.shallow import TimeMean
from trainer.open_set.roles import THRESHOLDS, Openness

DIRECT: Final = "directly trained"
SHALLOW: Final = "shallow classifier"
NEAREST: Final = "nearest neighbour"

SystemName = Literal["directly trained", "shallow classifier", "nearest neighbour"]


class OpenSetRecipe(BaseModel):
    """One row of the table.

    Attributes:
        openness: share of the non-targets that training knows: all (low), half (middle), none (high).
        shots: training clips per class.
        non_targets: classes that are no targets; empty to draw `n_non_targets` by seed.
        n_folds: folds that are run of those there are; 0 for all of them, as in the thesis.
        threshold: cosine from which on a sample belongs to a known class; None for that of the openness (6.2.2).
        beta: weight of the accuracy among known classes (eq. 27).
        segment_s: length clips are cut or repeated to.
        systems: what is compared.
        encoders: for the shallow classifier: ``keyword`` or ``anomaly`` (shipped bundles), folders of bundles, or ONNX
            files.
        network: ``dual-branch`` (the thesis's), ``compact``, or ``small``: the compact one at half its width.
        epochs_per_shot: epochs are this times the number of shots; so is the batch size with `batch_per_shot`.
        time_mean: see `trainer.external.shallow`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    openness: Openness = "low"
    shots: int = Field(default=1, ge=1, le=64)
    non_targets: tuple[str, ...] = ()
    n_non_targets: int = Field(default=3, ge=1)
    n_folds: int = Field(default=0, ge=0)
    threshold: float | None = Field(default=None, ge=-1.0, le=1.0)
    beta: float = Field(default=0.5, ge=0.0, le=1.0)
    segment_s: float = Field(default=4.0, ge=1.0, le=60.0)
    systems: tuple[SystemName, ...] = (DIRECT, SHALLOW, NEAREST)
    encoders: tuple[str, ...] = ("keyword",)
    network: Literal["dual-branch", "compact", "small"] = "dual-branch"
    epochs_per_shot: int = Field(default=100, ge=1)
    batch_per_shot: int = Field(default=8, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    mixup_probability: float = Field(default=1.0, ge=0.0, le=1.0)
    time_mean: TimeMean = "before"

    @property
    def epochs(self) -> int:
        """Of every training."""
        return self.epochs_per_shot * self.shots

    @property
    def batch_size(self) -> int:
        """Of every training."""
        return self.batch_per_shot * self.shots

    @property
    def max_distance(self) -> float:
        """The threshold as a cosine distance; what lies beyond is unknown."""
        return 1.0 - (THRESHOLDS[self.openness] if self.threshold is None else self.threshold)

    @property
    def segment_samples(self) -> int:
        """Even, as the spectrum needs it."""
        return round(self.segment_s * SAMPLE_RATE_HZ / 2) * 2


def open_set_recipe(fields: Mapping[str, Any]) -> OpenSetRecipe:
    """A recipe from the fields of a table's row.

    Raises:
        ConfigError: a field that does not exist or fit.
    """
    try:
        return OpenSetRecipe.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"open-set recipe: {problems}", fix="correct the named fields") from error
