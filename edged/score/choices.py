"""Which back end scores which representation: the bundle's own combination, or what a configuration chooses instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edged.embed.bundle import RepresentationSpec, Value
from edged.errors import ConfigError

DEFAULT = "default"
"""The back ends that the bundle names: what was best over all machines it was measured on."""

SCORINGS: dict[str, tuple[str, dict[str, Value]]] = {
    "shrinkage": ("shrinkage", {"standardise": False}),
    "density": ("density", {"metric": "euclidean", "n_neighbours": 1, "max_ratio": 2.0}),
    "density-cosine": ("density", {"metric": "cosine", "n_neighbours": 1, "max_ratio": 2.0}),
    "cosine": ("cosine", {"n_clusters": 16}),
    "lof": ("lof", {"metric": "euclidean", "n_neighbours": 5}),
    "gaussian": ("mixture", {"n_components": 1}),
    "mixture": ("mixture", {"n_components": 4}),
}
"""Name in the configuration -> back end and its parameters."""

Scoring = str | Mapping[str, str]
"""One name for all representations, or a name for some of them; `DEFAULT` is what the bundle says."""


def chosen_specs(specs: Sequence[RepresentationSpec], scoring: Scoring) -> tuple[RepresentationSpec, ...]:
    """The representations with the chosen back ends; weights stay the bundle's.

    Raises:
        ConfigError: an unknown name, or a representation that the bundle does not have.
    """
    choice = dict.fromkeys([spec.name for spec in specs], scoring) if isinstance(scoring, str) else scoring
    unknown = sorted(set(choice) - {spec.name for spec in specs})
    if unknown:
        known = ", ".join(spec.name for spec in specs)
        raise ConfigError(f"scoring: the bundle has no representation '{unknown[0]}'", fix=f"it has {known}")
    return tuple(_chosen(spec, choice.get(spec.name, DEFAULT)) for spec in specs)


def scoring_text(scoring: Scoring) -> str:
    """For messages.

    >>> scoring_text("lof"), scoring_text({"embedding": "lof", "change": "density"})
    ('lof', 'change: density, embedding: lof')
    """
    return scoring if isinstance(scoring, str) else ", ".join(f"{key}: {scoring[key]}" for key in sorted(scoring))


def _chosen(spec: RepresentationSpec, name: str) -> RepresentationSpec:
    if name == DEFAULT:
        return spec
    if name not in SCORINGS:
        raise ConfigError(f"scoring: unknown '{name}'", fix=f"one of {', '.join((DEFAULT, *SCORINGS))}")
    backend, params = SCORINGS[name]
    return spec.model_copy(update={"backend": backend, "params": dict(params)})
