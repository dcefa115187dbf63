"""What a configuration may choose is what can be fitted, and nothing else."""

from typing import get_args

import numpy as np
import pytest

from edged.config import AnomalySettings, ScoringName
from edged.embed.bundle import RepresentationSpec
from edged.errors import ConfigError
from edged.score.anomaly import fit_anomaly
from edged.score.choices import DEFAULT, SCORINGS, chosen_specs
from edged.score.references import SOURCE, References

SPECS = (
    RepresentationSpec(name="quiet", source="features", dim=3, backend="shrinkage", weight=2.0),
    RepresentationSpec(name="embedding", source="model", dim=3, backend="cosine", params={"n_clusters": 2}),
)
VECTORS = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
REFERENCES = References(VECTORS, (SOURCE,) * 12, np.arange(12))


def test_the_configurations_names_are_those_of_the_scorings():
    assert set(get_args(ScoringName)) == {DEFAULT, *SCORINGS}
    assert AnomalySettings().scoring == DEFAULT


def test_default_is_the_bundles_own():
    assert chosen_specs(SPECS, DEFAULT) == SPECS
    assert chosen_specs(SPECS, {"quiet": DEFAULT}) == SPECS


@pytest.mark.parametrize("name", SCORINGS)
def test_every_choice_can_be_fitted_and_keeps_the_weights(name):
    specs = chosen_specs(SPECS, name)
    assert [spec.weight for spec in specs] == [2.0, 1.0]
    scorer = fit_anomaly(specs, dict.fromkeys(("quiet", "embedding"), REFERENCES))
    assert np.isfinite(scorer.scores({"quiet": VECTORS + 3, "embedding": VECTORS + 3})).all()


def test_one_representation_can_be_chosen_for():
    quiet, embedding = chosen_specs(SPECS, {"embedding": "lof"})
    assert quiet == SPECS[0]
    assert (embedding.backend, embedding.params) == SCORINGS["lof"]


@pytest.mark.parametrize(
    ("scoring", "message"), [("magic", "unknown 'magic'"), ({"quiet": "magic"}, "magic"), ({"smell": "lof"}, "smell")]
)
def test_what_cannot_be_is_refused(scoring, message):
    with pytest.raises(ConfigError, match=message):
        chosen_specs(SPECS, scoring)
