"""How one system of table 31 is made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.losses.tacos import ScaleRule


class SystemRecipe(BaseModel):
    """A row of table 31 without its threshold, which is tuned for all words at once and for each word.

    Attributes:
        features: ``hfcc`` (no training), ``sliding`` (one vector per segment), ``temporal`` (a vector per frame).
        reversed_segments: train on segments played backwards, with a class per word.
        position_weight: of L_pos; 0 leaves L_kw alone.
        scale_rule: of TACos.
        n_centres: sub-centres per (keyword, position).
        width: channels of the network's first stage.
        steps: of the optimiser.
        inference_step_frames: from one segment to the next when a recording is embedded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Literal["hfcc", "sliding", "temporal"]
    reversed_segments: bool = False
    position_weight: float = Field(default=1.0, ge=0.0)
    scale_rule: ScaleRule = "adacos"
    n_centres: int = Field(default=16, ge=1, le=256)
    width: int = Field(default=16, ge=1, le=256)
    steps: int = Field(default=100_000, ge=1)
    batch_size: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    inference_step_frames: int = Field(default=1, ge=1, le=16)
