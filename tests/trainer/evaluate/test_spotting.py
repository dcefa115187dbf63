"""Operating points of spotted words."""

from trainer.evaluate.spotting import Operating, Spoken, Spotted, at_limit, best_f1, operating_points


def test_findings_of_equal_distance_pass_together() -> None:
    """Regression: the best threshold could pass one of several that tie, which no threshold can."""
    found = {"a": [Spotted("on", at_s, at_s + 1.0, 0.1) for at_s in (1.0, 5.0, 9.0)]}
    points = operating_points(found, {"a": [Spoken("on", 1.0, 2.0)]})
    assert points == [Operating(0.5, 1 / 3, 1.0, 0.1)]
    assert best_f1(points) == at_limit(points, 0.1) == points[0]
