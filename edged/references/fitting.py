"""By which back ends a bank was fitted; its bundle may by now choose others.

What is fitted stays in use until somebody enrols or refits: an upgrade changes no score and no threshold by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edged.embed.bundle import Bundle, RepresentationSpec
from edged.errors import ConfigError
from edged.score.anomaly import AnomalyScorer, backend_name
from edged.score.choices import Scoring, chosen_specs


@dataclass(frozen=True)
class FittedBy:
    """What fitted a bank.

    Attributes:
        bundle: label of the bundle.
        backends: name, back end, weight and parameters of every representation that is scored, in their order.
            Banks from before parameters were kept lack these.
    """

    bundle: str = ""
    backends: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, bundle: Bundle, specs: Sequence[RepresentationSpec]) -> FittedBy:
        """For what is fitted now."""
        return cls(bundle.label, tuple(_facts(spec) for spec in specs if spec.weight > 0))

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], scorer: AnomalyScorer) -> FittedBy:
        """Of a stored bank."""
        backends = facts.get("backends")
        if backends is None:
            backends = [
                {"name": part.name, "backend": backend_name(part.backend), "weight": part.weight}
                for part in scorer.parts
            ]
        return cls(str(facts.get("fitted_with", facts.get("bundle", ""))), tuple(backends))

    def is_by(self, bundle: Bundle, scoring: Scoring) -> bool:
        """Whether fitting again by this scoring would use the same back ends.

        Raises:
            ConfigError: the scoring does not fit the bundle.
        """
        wanted = FittedBy.of(bundle, chosen_specs(bundle.manifest.representations, scoring)).backends
        return len(wanted) == len(self.backends) and all(
            all(now.get(key) == value for key, value in then.items())
            for then, now in zip(self.backends, wanted, strict=True)
        )


UNKNOWN = FittedBy()


def advice(fitted_by: FittedBy, bundle: Bundle, scoring: Scoring, stream: str) -> str:
    """What to do about references that the bundle in use would fit by other back ends; empty if nothing."""
    try:
        if fitted_by.is_by(bundle, scoring):
            return ""
    except ConfigError:  # of a sibling's configuration, or the bundle has changed: a refit says what is wrong
        pass
    fix = f"`edged references refit --stream {stream}` applies them"
    return f"fitted with {fitted_by.bundle}, whose back ends stay in use; {bundle.label} chooses others: {fix}"


def _facts(spec: RepresentationSpec) -> dict[str, Any]:
    return {"name": spec.name, "backend": spec.backend, "weight": spec.weight, "params": dict(spec.params)}
