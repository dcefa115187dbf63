"""Trains an anomaly embedder and writes it as a bundle.

recordings and synthetic machines -> corpus -> objective (noise, mixup, features, loss) -> network -> bundle
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as pl
import soundfile as sf
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch.utils.data import DataLoader

from edged.embed.bundle import Bundle, RepresentationSpec
from edged.errors import AudioError, ConfigError, UsageError
from edged.features.anomaly import AnomalySpec
from edged.flow import Float32Array
from trainer.anomaly_bundle import (
    STATISTICS,
    embedding_representation,
    statistics_representations,
    write_anomaly_bundle,
)
from trainer.anomaly_objective import AnomalyObjective
from trainer.checkpoints import load_network
from trainer.data.clips import NOT_FOR_TRAINING, read_clip, rms
from trainer.data.corpus import (
    Corpus,
    CorpusDataset,
    Labelled,
    noise_bank,
    recorded_segments,
    synthetic_segments,
    write_corpus,
)
from trainer.data.dcase import SUFFIXES, MachineClip, read_machine_tree
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.models.compact import CompactDualBranch
from trainer.models.dual_branch import DualBranch
from trainer.training import TrainingSettings, fit

RECIPES = Path(__file__).parent / "recipes"
CLIPS_PER_SYNTHETIC_MACHINE = 29


class AnomalyRecipe(BaseModel):
    """How an anomaly embedder is trained; the YAML files of trainer/recipes hold these fields.

    Attributes:
        network: ``compact`` or ``dual-branch`` (thesis, Tables 14 and 15).
        n_centres: sub-clusters per class.
        constant_rate: the thesis's fixed step size instead of warm-up and decay.
        mixup_probability: share of samples mixed with another.
        noise_probability: share of samples with a background recording at `snr_low_db` to `snr_high_db`.
        synthetic_machines: machines of the synthetic plant in the training set; 0 for none.
        recorded_repeats: weight of each recorded segment.
        embedding_backend: back end for the embedding.
        embedding_weight: its weight in the score beside the input statistics, and `statistics_weight` theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["compact", "dual-branch"] = "compact"
    n_centres: int = Field(default=16, ge=1, le=256)
    max_epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0.0)
    constant_rate: bool = False
    mixup_probability: float = Field(default=1.0, ge=0.0, le=1.0)
    noise_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    snr_low_db: float = -10.0
    snr_high_db: float = 15.0
    synthetic_machines: int = Field(default=0, ge=0)
    synthetic_seed: int = Field(default=1000, ge=0)
    recorded_repeats: int = Field(default=1, ge=1)
    embedding_backend: Literal["cosine", "shrinkage", "density"] = "cosine"
    embedding_weight: float = Field(default=1.0, ge=0.0)
    statistics_weight: float = Field(default=1.0, ge=0.0)


@dataclass(frozen=True)
class AnomalyTrainingOptions:
    """What `edged-train anomaly` was asked for.

    Attributes:
        out: directory of the bundle.
        data: tree of recordings (DCASE or MIMII layout), or None for synthetic machines alone.
        noise: directory of background recordings, or None.
        exclude: parts of paths; recordings and noises that hold one are left out (``fan_id_00``).
        recipe: see `load_recipe`.
        run_directory: checkpoints, metrics and the corpus.
        seed: of weights, sampling and augmentation.
        resume: go on from the last checkpoint.
        card: text of the bundle's card.
    """

    out: Path
    recipe: AnomalyRecipe
    run_directory: Path
    data: Path | None = None
    noise: Path | None = None
    exclude: tuple[str, ...] = ()
    seed: int = 0
    resume: bool = False
    version: str = "1.0.0"
    card: str = ""
    accelerator: str = "auto"
    progress: bool = True


def load_recipe(name: str, **overrides: Any) -> AnomalyRecipe:
    """A recipe by name (a file of trainer/recipes) or path.

    Raises:
        ConfigError: no such recipe, or a field that does not exist or fit.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("anomaly*.yaml")))
        raise ConfigError(f"no recipe '{name}'", fix=f"one of {known}, or a YAML file")
    fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    try:
        return AnomalyRecipe.model_validate(fields | overrides)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {problems}") from error


def train_anomaly(options: AnomalyTrainingOptions) -> Bundle:
    """Train and write the bundle.

    Raises:
        UsageError: neither recordings nor synthetic machines to learn from.
        AudioError: recordings that cannot be used.
        BundleError: the exported network differs from the trained one.
    """
    recipe, spec = options.recipe, network_spec(options.recipe)
    pl.seed_everything(options.seed, workers=True, verbose=False)
    noises = _noise_clips(options)
    corpus = build_corpus(options, spec, noises)
    network = build_network(recipe)
    loss = SubclusterAdaCos(len(corpus.names), recipe.n_centres, network.dim)
    objective = AnomalyObjective(
        spec,
        loss,
        len(corpus.names),
        noise_bank(noises, spec.segment_samples),
        noise_probability=recipe.noise_probability,
        snr_db=(recipe.snr_low_db, recipe.snr_high_db),
        mixup_probability=recipe.mixup_probability,
    )
    loader = DataLoader(CorpusDataset(corpus, options.seed), recipe.batch_size, shuffle=True, drop_last=True)
    fit(network, objective, loader, _settings(options), resume_from=_checkpoint(options))
    return write_anomaly_bundle(
        options.out,
        spec,
        representations(spec, recipe, network.dim),
        version=options.version,
        network=network.cpu(),
        training=_summary(options, corpus),
        card=options.card,
    )


def export_run(
    run_directory: Path, out: Path, recipe: AnomalyRecipe, *, version: str = "1.0.0", card: str = ""
) -> Bundle:
    """Write the bundle of a run's last checkpoint, whether the run came to its end or not.

    Raises:
        UsageError: no checkpoint, or one of another recipe's network.
    """
    network, spec = build_network(recipe), network_spec(recipe)
    epochs_done = load_network(network, run_directory)
    training = {"recipe": recipe.model_dump(mode="json"), "epochs_done": epochs_done}
    return write_anomaly_bundle(
        out,
        spec,
        representations(spec, recipe, network.dim),
        version=version,
        network=network,
        training=training,
        card=card,
    )


def network_spec(recipe: AnomalyRecipe) -> AnomalySpec:
    """The front end of a recipe's network, with the default statistics."""
    if recipe.network == "compact":
        return AnomalySpec(inputs=("log_mel", "spectrum"), statistics=STATISTICS)
    return AnomalySpec(inputs=("spectrogram", "spectrum"), statistics=STATISTICS)


def build_network(recipe: AnomalyRecipe) -> CompactDualBranch | DualBranch:
    """The untrained network of a recipe."""
    return CompactDualBranch() if recipe.network == "compact" else DualBranch()


def representations(spec: AnomalySpec, recipe: AnomalyRecipe, dim: int) -> tuple[RepresentationSpec, ...]:
    """Input statistics and the embedding, with the recipe's weights."""
    statistics = (
        r.model_copy(update={"weight": r.weight * recipe.statistics_weight}) for r in statistics_representations(spec)
    )
    return (*statistics, embedding_representation(dim, recipe.embedding_weight, recipe.embedding_backend))


def build_corpus(options: AnomalyTrainingOptions, spec: AnomalySpec, noises: list[Float32Array]) -> Corpus:
    """Synthetic and recorded segments, stored in the run directory."""
    recipe = options.recipe
    clips = _recordings(options)
    if not clips and not recipe.synthetic_machines:
        raise UsageError("nothing to train on", fix="give --data, or a recipe with synthetic_machines")

    def segments() -> Iterator[Labelled]:
        yield from synthetic_segments(recipe.synthetic_machines, recipe.synthetic_seed, noises)
        yield from recorded_segments(clips, spec.segment_samples, recipe.recorded_repeats)

    longest = sum(max(1, _n_samples(clip.path) // spec.segment_samples) for clip in clips) * recipe.recorded_repeats
    bound = recipe.synthetic_machines * CLIPS_PER_SYNTHETIC_MACHINE + longest
    return write_corpus(options.run_directory / "corpus.npy", segments(), bound, spec.segment_samples)


def _recordings(options: AnomalyTrainingOptions) -> list[MachineClip]:
    if options.data is None:
        return []
    clips = [clip for clip in read_machine_tree(options.data) if not _excluded(clip.path, options)]
    return [clip for clip in clips if clip.split == "train" and clip.condition == "normal"]


def _noise_clips(options: AnomalyTrainingOptions) -> list[Float32Array]:
    """All audible background recordings but the excluded ones."""
    if options.noise is None:
        return []
    paths = [p for p in sorted(options.noise.rglob("*")) if p.suffix in SUFFIXES and not _excluded(p, options)]
    if not paths:
        raise AudioError(f"{options.noise}: holds no {', '.join(SUFFIXES)} files", fix="name a folder of recordings")
    return [clip for clip in map(read_clip, paths) if rms(clip) > 1e-4]


def _excluded(path: Path, options: AnomalyTrainingOptions) -> bool:
    return any(part in str(path) for part in (*options.exclude, *NOT_FOR_TRAINING))


def _n_samples(path: Path) -> int:
    return int(sf.info(path).frames)


def _settings(options: AnomalyTrainingOptions) -> TrainingSettings:
    return TrainingSettings(
        run_directory=options.run_directory,
        max_epochs=options.recipe.max_epochs,
        learning_rate=options.recipe.learning_rate,
        constant_rate=options.recipe.constant_rate,
        seed=options.seed,
        accelerator=options.accelerator,
        progress=options.progress,
    )


def _checkpoint(options: AnomalyTrainingOptions) -> Path | None:
    path = options.run_directory / "last.ckpt"
    return path if options.resume and path.is_file() else None


def _summary(options: AnomalyTrainingOptions, corpus: Corpus) -> dict[str, Any]:
    return {
        "recipe": options.recipe.model_dump(mode="json"),
        "seed": options.seed,
        "classes": len(corpus.names),
        "segments": len(corpus.classes),
    }
