"""How keyword embedders are trained: the fields of trainer/recipes/keyword*.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from edged.errors import ConfigError, UsageError
from trainer.checkpoints import latest_checkpoint
from trainer.losses.tacos import ScaleRule
from trainer.recipe_files import RECIPES, read_fields, recipe_names
from trainer.run_directory import CONFIG
from trainer.training import TrainingSettings

KINDS = ("general", "distilled", "site")
ADDED_FIELDS = frozenset({"ema_decay", "snr_db", "noisy_share", "machine_noises", "babble_noises"})


Decibels = Annotated[float, Field(ge=-100.0, le=100.0)]


class _Recipe(BaseModel):
    """What both kinds share.

    Attributes:
        ema_decay: of the moving average of the weights that is exported in their place; 0 exports the weights.
        background_s: length of the ordinary speech that distances are measured against.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    constant_rate: bool = False
    ema_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    background_s: float = Field(default=90.0, gt=1.0)


class CorpusRecipe(_Recipe):
    """What embedders for words that come later share: a corpus of scenes, generated once.

    Attributes:
        shards: of the (first) corpus, `scenes_per_shard` scenes of about three seconds each.
        snr_db: range of the signal-to-noise ratio of noisy scenes, `noisy_share` of all.
        machine_noises, babble_noises: clips of synthetic machines and of many voices at once among the noises.
    """

    background_s: float = Field(default=600.0, gt=1.0)
    shards: int = Field(default=240, ge=1)
    scenes_per_shard: int = Field(default=100, ge=1)
    crop_frames: int = Field(default=224, ge=48)
    batches_per_epoch: int = Field(default=200, ge=1)
    snr_db: tuple[Decibels, Decibels] = (0.0, 30.0)
    noisy_share: float = Field(default=0.75, ge=0.0, le=1.0)
    machine_noises: int = Field(default=0, ge=0)
    babble_noises: int = Field(default=0, ge=0)

    @field_validator("snr_db")
    @classmethod
    def _rises(cls, snr_db: tuple[float, float]) -> tuple[float, float]:
        if snr_db[0] > snr_db[1]:
            raise ValueError("the lower end of the range comes first")
        return snr_db


class GeneralRecipe(CorpusRecipe):
    """An embedder for words that come later: phones and diphones of running speech.

    Attributes:
        width: channels of the network.
        aligned_shards: of the second corpus, whose recorded words have phone times; 0 leaves it out.
        first_epochs: on the first corpus; then `max_epochs` on both, each of `batches_per_epoch`.
        restart_epochs: more of them on both, with warm-up and decay once more, at half the learning rate.
        reversed_share: of crops that are played backwards.
        diphones: how many of the most frequent pairs of phones are classes.
    """

    kind: Literal["general"] = "general"
    width: int = Field(default=256, ge=8)
    aligned_shards: int = Field(default=60, ge=0)
    first_epochs: int = Field(default=10, ge=1)
    restart_epochs: int = Field(default=0, ge=0)
    reversed_share: float = Field(default=0.125, ge=0.0, le=1.0)
    diphones: int = Field(default=900, ge=1)


class DistilledRecipe(CorpusRecipe):
    """A trained embedder (`start_from`) learns to hear degraded speech as it hears clean speech.

    Attributes:
        teacher_level_ahead_frames: how far the level of the teacher's front end looks ahead.
        recorded_share: of scenes that are recorded words, not synthetic sentences.
    """

    kind: Literal["distilled"] = "distilled"
    teacher_level_ahead_frames: int = Field(default=6, ge=0, le=100)
    recorded_share: float = Field(default=0.4, ge=0.0, le=0.96)


class SiteRecipe(_Recipe):
    """The thesis's embedder of one site's own words.

    Attributes:
        n_centres: sub-centres per (keyword, position).
        reversed_segments: one more class per keyword for its segments played backwards.
        position_weight: of the position loss; 0 leaves L_kw alone.
        scale_rule: of TACos.
        width: channels of the network's first stage, 16 in the thesis.
    """

    kind: Literal["site"] = "site"
    n_centres: int = Field(default=16, ge=1, le=256)
    reversed_segments: bool = True
    position_weight: float = Field(default=1.0, ge=0.0)
    scale_rule: ScaleRule = "adacos"
    width: int = Field(default=16, ge=1, le=256)


KeywordRecipe = GeneralRecipe | DistilledRecipe | SiteRecipe


@dataclass(frozen=True)
class KeywordTrainingOptions:
    """What `edged-train keyword` was asked for.

    Attributes:
        out: directory of the bundle.
        run_directory: corpus, checkpoints and metrics.
        data: data pack of recordings for a general embedder; None = synthetic speech alone.
        start_from: bundle whose network is trained further; None = from scratch.
        teacher: bundle that a distilled embedder learns from; None = the one it starts from.
        shots: folder with a folder of clips per word, for an embedder of one site.
        background: folder of recordings without these words, for an embedder of one site.
        card: text of the bundle's card.
        resume: go on with the run that the directory holds.
    """

    out: Path
    recipe: KeywordRecipe
    run_directory: Path
    data: Path | None = None
    start_from: Path | None = None
    teacher: Path | None = None
    shots: Path | None = None
    background: Path | None = None
    seed: int = 0
    version: str = "1.0.0"
    card: str = ""
    accelerator: str = "auto"
    resume: bool = False
    progress: bool = True

    def config(self) -> dict[str, object]:
        """What results depend on, for the run directory."""
        sources = {"data": self.data, "shots": self.shots, "background": self.background}
        paths = {name: str(path) if path else None for name, path in sources.items()}
        if self.start_from:
            paths["start_from"] = str(self.start_from)
        if self.teacher:
            paths["teacher"] = str(self.teacher)
        fields = self.recipe.model_dump(mode="json")
        defaults = type(self.recipe)().model_dump(mode="json")
        for name in ADDED_FIELDS & fields.keys():
            if fields[name] == defaults[name]:
                fields.pop(name)  # runs that began before there was such a field go on
        return {"recipe": fields, "seed": self.seed, **paths}

    def require_used_sources(self) -> None:
        """Refuse folders that this kind of embedder does not learn from.

        Raises:
            UsageError: some are given.
        """
        if self.teacher and not isinstance(self.recipe, DistilledRecipe):
            raise UsageError("--teacher is for a distilled embedder", fix="take --recipe keyword-distilled")
        if isinstance(self.recipe, GeneralRecipe | DistilledRecipe):
            given, fix = self.shots or self.background, "take a site's recipe, as keyword-thesis, or leave them out"
            unused = "--shots and --background are for an embedder of these words alone"
        else:
            given, fix = self.data, "leave it out, or take a general recipe without --shots"
            unused = "--data is for a general embedder"
        if given:
            raise UsageError(unused, fix=fix)

    def checkpoint(self, name: str) -> Path | None:
        """Where a stage of the run goes on, if it does; a finished one is only loaded."""
        return latest_checkpoint(self.run_directory / name) if self.resume else None

    def settings(self, name: str, max_epochs: int, rate_factor: float = 1.0) -> TrainingSettings:
        """Settings of one run below the run directory."""
        return TrainingSettings(
            run_directory=self.run_directory / name,
            max_epochs=max_epochs,
            learning_rate=self.recipe.learning_rate * rate_factor,
            constant_rate=self.recipe.constant_rate,
            gradient_clip_norm=5.0,
            ema_decay=self.recipe.ema_decay,
            seed=self.seed,
            accelerator=self.accelerator,
            progress=self.progress,
        )


def as_trained(options: KeywordTrainingOptions) -> KeywordTrainingOptions:
    """The options with the recipe, the seed and the bundle that a run was begun with, and its data where none is given.

    Raises:
        ConfigError: the run's configuration is damaged.
    """
    path = options.run_directory / CONFIG
    if not path.is_file():
        return options
    run = read_fields(path)
    data = options.data or (Path(str(run["data"])) if run.get("data") else None)
    recipe = _parsed(path, run["recipe"]) if isinstance(run.get("recipe"), dict) else options.recipe
    start_from = Path(str(run["start_from"])) if run.get("start_from") else options.start_from
    return replace(options, recipe=recipe, seed=int(run.get("seed", options.seed)), data=data, start_from=start_from)


def is_keyword_recipe(name: str) -> bool:
    """Whether a recipe's name or file is one of a keyword embedder: those name their kind.

    Raises:
        ConfigError: the file cannot be read.

    >>> is_keyword_recipe("keyword"), is_keyword_recipe("anomaly")
    (True, False)
    """
    path = _place(name)
    return path.is_file() and read_fields(path).get("kind") in KINDS


def load_recipe(name: str, **overrides: object) -> KeywordRecipe:
    """A recipe by name (a file of trainer/recipes) or path.

    Raises:
        ConfigError: no such recipe, or a field that does not exist or fit.
    """
    path = _place(name)
    if not path.is_file():
        raise ConfigError(f"no recipe '{name}'", fix=f"one of {', '.join(recipe_names('keyword'))}, or a YAML file")
    return _parsed(path, read_fields(path) | overrides)


def _place(name: str) -> Path:
    return Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"


def _parsed(path: Path, fields: Mapping[str, Any]) -> KeywordRecipe:
    if fields.get("kind") not in KINDS:
        raise ConfigError(f"{path}: not of a keyword embedder", fix=f"add kind: {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    adapter: TypeAdapter[KeywordRecipe] = TypeAdapter(Annotated[KeywordRecipe, Field(discriminator="kind")])
    try:
        return adapter.validate_python(dict(fields))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {problems}", fix="correct the named fields") from error
