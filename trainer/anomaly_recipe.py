"""How an anomaly embedder is trained and scored: the fields of trainer/recipes/anomaly*.yaml and of the tables."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edged.errors import ConfigError
from trainer.recipe_files import closest, read_recipe

NetworkName = Literal[
    "compact",
    "dual-branch",
    "spectrogram",
    "spectrum",
    "log-mel",
    "baseline",
    "autoencoder",
    "temporal-mean",
    "temporal-maximum",
]
LossName = Literal["compactness", "compactness-cxe", "cxe", "arcface", "adacos", "subcluster-adacos", "adaproj"]
Clips = Annotated[int, Field(ge=0)]
Level = Literal["none", "machine", "section", "attributes"]

DUAL: tuple[NetworkName, ...] = ("compact", "dual-branch")
"""Networks of two branches, the only ones that can exchange features or be combined in different ways."""

IMAGES: tuple[NetworkName, ...] = (*DUAL, "spectrogram", "log-mel", "baseline")
"""Networks that learn from an image and are not asked to reconstruct it."""

UNTRAINED: tuple[NetworkName, ...] = ("temporal-mean", "temporal-maximum")
"""Input statistics that stand where a network stands (thesis 3.4.6)."""


class AnomalyRecipe(BaseModel):
    """One system.

    Attributes:
        network: ``compact`` and ``dual-branch`` have two branches (thesis, Tables 14 and 15), ``spectrogram``,
            ``spectrum`` and ``log-mel`` one of them; ``baseline`` is Table 4; the statistics are not trained at all.
        combine: how the branches' embeddings become one; ``after-training`` gives each branch a loss of its own.
        branch_dim: length of a branch's embedding.
        bias: bias terms in the network (Table 16); they allow trivial solutions.
        segment_s: length of the segments; the thesis has 10 s.
        loss: what is minimised.
        n_centres: sub-clusters per class, or basis vectors of AdaProj, of these at most half the embedding's length.
        trainable_centres: whether those of adacos, subcluster-adacos and adaproj move; compactness never moves its own,
            the classifying weights of arcface and cxe always move.
        classes: level of the classes of the auxiliary task: every combination of machine, section and attributes, or
            fewer (Tables 5 and 21).
        balanced: draw every class equally often.
        statex: self-supervision by exchanged statistics (5.7), over the frequency axis.
        featex: self-supervision by exchanged branches.
        regular: the classification loss beside the self-supervised one.
        constant_rate: the thesis's fixed step size instead of warm-up and decay.
        ema_decay: of the running average of the weights that is exported; 0 exports the last weights.
        mixup_probability: share of samples mixed with another.
        specaugment: masks over time and frequency on the network's image.
        noise_probability: share of samples with a background recording at `snr_low_db` to `snr_high_db`.
        synthetic_machines: machines of the synthetic plant in the training set; 0 for none.
        synthetic_clips: of each: healthy in the source domain, healthy in a target domain, each of 3 faults.
        recorded_repeats: weight of each recorded segment, as long as synthetic ones are in the majority.
        embedding_backend: back end for the embedding in the bundle.
        embedding_weight: its weight in the score beside the input statistics, and `statistics_weight` theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: NetworkName = "compact"
    combine: Literal["concatenate", "add", "after-training"] = "concatenate"
    branch_dim: int = Field(default=128, ge=8, le=1024)
    bias: bool = False
    segment_s: float = Field(default=10.0, ge=1.0, le=60.0)
    loss: LossName = "subcluster-adacos"
    n_centres: int = Field(default=16, ge=1, le=256)
    trainable_centres: bool = False
    classes: Level = "attributes"
    balanced: bool = False
    statex: bool = False
    featex: bool = False
    regular: bool = True
    max_epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    constant_rate: bool = False
    ema_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    mixup_probability: float = Field(default=1.0, ge=0.0, le=1.0)
    specaugment: bool = False
    noise_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    snr_low_db: float = -10.0
    snr_high_db: float = 15.0
    synthetic_machines: int = Field(default=0, ge=0)
    synthetic_seed: int = Field(default=1000, ge=0)
    synthetic_clips: tuple[Clips, Clips, Clips] = (8, 6, 5)
    recorded_repeats: int = Field(default=1, ge=1)
    embedding_backend: Literal["cosine", "shrinkage", "density"] = "cosine"
    embedding_weight: float = Field(default=1.0, ge=0.0)
    statistics_weight: float = Field(default=1.0, ge=0.0)

    @model_validator(mode="after")
    def _two_branches(self) -> AnomalyRecipe:
        if self.network not in DUAL and (self.featex or self.statex or self.combine != "concatenate"):
            raise ValueError(f"statex, featex and combine need a network of two branches ({', '.join(DUAL)})")
        if self.specaugment and self.network not in IMAGES:
            raise ValueError(f"specaugment masks images, which network: {self.network} does not train on")
        if self.snr_low_db > self.snr_high_db:
            raise ValueError("snr_low_db lies above snr_high_db")
        if not (self.regular or self.statex or self.featex):
            raise ValueError("regular: false leaves no loss without statex or featex")
        if self.combine == "after-training" and (self.statex or self.featex):
            raise ValueError("self-supervision needs a joint embedding, not combine: after-training")
        if self.combine == "add" and self.featex:
            raise ValueError("added branches cannot be exchanged: featex needs combine: concatenate")
        return self

    @property
    def is_self_supervised(self) -> bool:
        """Whether a second loss tells exchanged samples from originals."""
        return self.statex or self.featex


def load_recipe(name: str, **overrides: Any) -> AnomalyRecipe:
    """A recipe by name, by a row of a table (``table-25/adaproj``), or by path.

    Raises:
        ConfigError: no such recipe, or a field that does not exist or fit.
    """
    return parse_recipe(name, read_recipe(name, "anomaly") | overrides)


def parse_recipe(name: str, fields: dict[str, Any]) -> AnomalyRecipe:
    """A recipe from its fields; `name` is for the message.

    Raises:
        ConfigError: a field that does not exist or fit.
    """
    try:
        return AnomalyRecipe.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        unknown = [str(e["loc"][0]) for e in error.errors() if e["type"] == "extra_forbidden"]
        meant = "".join(closest(field, list(AnomalyRecipe.model_fields)) for field in unknown)
        raise ConfigError(f"{name}: {problems}{meant}", fix="correct the named fields") from error
