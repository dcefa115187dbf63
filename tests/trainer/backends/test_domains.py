"""Models per domain and how their distances become one (Table 19)."""

import numpy as np
import pytest

from edged.errors import ConfigError, EnrolmentError
from edged.score.references import References
from tests.trainer.backends.made import QUERIES, REFERENCES
from trainer.backends.domains import DOMAINS, fit_by_domain
from trainer.backends.nearest_samples import NearestSamples

ONLY_SOURCE, ONLY_TARGET = REFERENCES.select(np.arange(30)), REFERENCES.select(np.arange(30, 36))
BY_SOURCE, BY_TARGET = (NearestSamples.fit(part, k=2).distance(QUERIES) for part in (ONLY_SOURCE, ONLY_TARGET))
EXPECTED = {
    "joint": NearestSamples.fit(REFERENCES, k=2).distance(QUERIES),
    "minimum": [min(s, t) for s, t in zip(BY_SOURCE, BY_TARGET, strict=True)],
    "sum": [s + t for s, t in zip(BY_SOURCE, BY_TARGET, strict=True)],
    "source": BY_SOURCE,
    "target": BY_TARGET,
}


def fit(references: References) -> NearestSamples:
    return NearestSamples.fit(references, k=2)


@pytest.mark.parametrize("domains", DOMAINS)
def test_each_way_is_what_it_says(domains: str) -> None:
    np.testing.assert_allclose(fit_by_domain(fit, REFERENCES, domains).distance(QUERIES), EXPECTED[domains], atol=1e-12)


def test_other_domains_are_one_target() -> None:
    seasons = REFERENCES.domains[:30] + ("winter", "summer", "autumn") * 2
    mixed = References(REFERENCES.vectors, seasons, REFERENCES.clips)
    np.testing.assert_array_equal(fit_by_domain(fit, mixed, "target").distance(QUERIES), BY_TARGET)


@pytest.mark.parametrize("domains", ["joint", "minimum", "sum", "source"])
def test_a_missing_domain_is_left_aside(domains: str) -> None:
    np.testing.assert_allclose(fit_by_domain(fit, ONLY_SOURCE, domains).distance(QUERIES), BY_SOURCE, atol=1e-12)


def test_a_domain_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(EnrolmentError, match="target"):
        fit_by_domain(fit, ONLY_SOURCE, "target")
    with pytest.raises(ConfigError, match="joint, minimum"):
        fit_by_domain(fit, ONLY_SOURCE, "both")
