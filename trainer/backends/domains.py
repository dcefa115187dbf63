"""How a back end deals with a source and a target domain (thesis 5.3.2, Table 19).

    joint      one model of all references
    minimum    one model per domain, the smaller distance
    sum        one model per domain, both distances added
    source     the model of the source domain alone
    target     the model of all other domains together

A domain without references has no model: `minimum` and `sum` make do with the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edged.errors import EnrolmentError
from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import one_of
from trainer.backends.protocol import FittedBackend

DOMAINS = ("joint", "minimum", "sum", "source", "target")


@dataclass(frozen=True)
class DomainBackends:
    """Models of several domains and how their distances become one.

    Attributes:
        backends: one per domain.
        domains: ``minimum`` or ``sum``.
    """

    backends: tuple[FittedBackend, ...]
    domains: str

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """(n, dim) -> (n,)."""
        distances = np.stack([backend.distance(vectors) for backend in self.backends])  # (n_domains, n)
        result: Float64Array = distances.min(axis=0) if self.domains == "minimum" else distances.sum(axis=0)
        return result


def fit_by_domain(
    fit: Callable[[References], FittedBackend], references: References, domains: str = "joint"
) -> FittedBackend:
    """Fit one model or one per domain.

    Args:
        fit: fits a model to the references it is given.
        references: any domains.
        domains: one of `DOMAINS`.

    Raises:
        ConfigError: unknown `domains`.
        EnrolmentError: the only domain asked for has no references.
    """
    parts = domain_parts(references, domains)
    if not parts:
        raise missing_domain(domains)
    fitted = tuple(fit(part) for part in parts)
    return fitted[0] if len(fitted) == 1 else DomainBackends(fitted, domains)


def missing_domain(domains: str) -> EnrolmentError:
    """What to raise where the only domain asked for has no references."""
    return EnrolmentError(f"no reference is of the {domains} domain", fix="enrol such clips or choose 'joint'")


def domain_parts(references: References, domains: str) -> tuple[References, ...]:
    """The references of every model that `domains` asks for and that has any.

    Raises:
        ConfigError: unknown `domains`.
    """
    one_of("domains", domains, DOMAINS)
    if domains == "joint":
        return (references,)
    is_source = references.is_source
    chosen = {"source": (is_source,), "target": (~is_source,)}.get(domains, (is_source, ~is_source))
    return tuple(references.select(part) for part in chosen if part.any())
