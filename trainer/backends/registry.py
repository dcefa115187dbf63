"""Every back end by name: the thesis's (2.6, Table 6), the shipped ones, and how each is fitted.

    cosine-to-mean      Table 6                     nearest-10          Table 6
    cosine-to-centres   2.6                         gaussian-*, gmm     Table 6, Table 8
    mahalanobis, lof    2.6                         plda, softmax       Table 6
    kmeans-cosine       5.3.1, shipped ``cosine``   density-*           shipped ``density``
    shrinkage           shipped

For ``kmeans-cosine`` the domains ``joint`` and ``minimum`` are the same, as in Table 19.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from edged.errors import ConfigError
from edged.score.references import References
from trainer.backends.cosine_to_centres import fit_centres, fit_mean
from trainer.backends.domains import domain_parts, fit_by_domain
from trainer.backends.gaussian import COVARIANCES, GaussianBackend
from trainer.backends.mahalanobis import MahalanobisBackend
from trainer.backends.mixture import MixtureBackend
from trainer.backends.nearest_samples import NearestSamples
from trainer.backends.outlier_factor import OutlierFactorBackend
from trainer.backends.plda import PldaBackend
from trainer.backends.protocol import FittedBackend
from trainer.backends.shipped import fit_density, fit_kmeans_cosine, fit_shrinkage
from trainer.backends.softmax import SoftmaxBackend

_TYPES: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a word"),
}


@dataclass(frozen=True)
class Entry:
    """One name of the registry.

    Attributes:
        fit: takes references and parameters by name.
        fixed: parameters that the name decides.
        by_domain: whether references decide anything, and so `domains` can be chosen.
    """

    fit: Callable[..., FittedBackend]
    fixed: Mapping[str, object] = field(default_factory=dict)
    by_domain: bool = True

    def params(self) -> dict[str, inspect.Parameter]:
        """The parameters that may be given, by name."""
        signature = inspect.signature(fit_by_domain).parameters if self.by_domain else {}
        own = inspect.signature(self.fit).parameters
        free = {name: p for name, p in own.items() if p.kind is p.KEYWORD_ONLY and name not in self.fixed}
        return free | {name: p for name, p in signature.items() if name == "domains"}


ENTRIES: dict[str, Entry] = {
    "cosine-to-mean": Entry(fit_mean),
    "cosine-to-centres": Entry(fit_centres, by_domain=False),
    "nearest-10": Entry(NearestSamples.fit),
    **{f"gaussian-{kind}": Entry(GaussianBackend.fit, {"covariance": kind}) for kind in COVARIANCES},
    "gmm": Entry(MixtureBackend.fit),
    "mahalanobis": Entry(MahalanobisBackend.fit),
    "plda": Entry(PldaBackend.fit),
    "lof": Entry(OutlierFactorBackend.fit),
    "softmax": Entry(SoftmaxBackend.fit, by_domain=False),
    "kmeans-cosine": Entry(fit_kmeans_cosine),
    "density-cosine": Entry(fit_density, {"metric": "cosine"}),
    "density-euclidean": Entry(fit_density, {"metric": "euclidean"}),
    "shrinkage": Entry(fit_shrinkage),
}

BACKEND_NAMES: tuple[str, ...] = tuple(ENTRIES)


def fit_backend(name: str, references: References, **params: Any) -> FittedBackend:
    """Fit a back end by name.

    Args:
        name: one of `BACKEND_NAMES`.
        references: normal sound of one section.
        params: the back end's own, and `domains` (one of `trainer.backends.domains.DOMAINS`, ``joint`` unless given)
            for all that fit something to the references.

    Raises:
        ConfigError: an unknown name or parameter, one that is missing, or a value that cannot be.
        EnrolmentError: the only domain asked for has no references.
    """
    entry = checked_entry(name, params)
    own = {key: value for key, value in params.items() if key != "domains"}
    if not entry.by_domain:
        return entry.fit(references, **own, **entry.fixed)
    domains = params.get("domains", "joint")
    return fit_by_domain(lambda part: entry.fit(part, **own, **entry.fixed), references, domains)


def checked_entry(name: str, params: Mapping[str, object]) -> Entry:
    """The entry of a name, once its parameters are known, complete and of the right kind.

    Raises:
        ConfigError: they are not.
    """
    if name not in ENTRIES:
        raise ConfigError(f"unknown back end '{name}'", fix=f"one of {', '.join(BACKEND_NAMES)}")
    known = ENTRIES[name].params()
    unknown = [key for key in params if key not in known]
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ConfigError(f"back end '{name}' has no parameter '{unknown[0]}'", fix=has)
    missing = [key for key, p in known.items() if p.default is p.empty and key not in params]
    if missing:
        raise ConfigError(f"back end '{name}' lacks a parameter", fix=f"give {' and '.join(missing)}")
    for key, value in params.items():
        _check_kind(name, key, value, known[key].default)
    return ENTRIES[name]


def parts_of(entry: Entry, references: References, params: Mapping[str, Any]) -> int:
    """How many models these references give; 0 where the only domain asked for has none."""
    return len(domain_parts(references, params.get("domains", "joint"))) if entry.by_domain else 1


def _check_kind(name: str, key: str, value: object, default: object) -> None:
    """A value must be of the kind of its default; those without a default say themselves what they take."""
    kind, words = _TYPES.get(type(default), (object, ""))
    is_truth = isinstance(value, bool) and kind is not bool and kind is not object
    if is_truth or not isinstance(value, kind):
        raise ConfigError(f"back end '{name}': '{key}' is {value!r}", fix=f"give {words}")
