"""Planted faults must be found, at their frequency and time."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from edged.explain.explanation import as_facts, explain_segment
from edged.explain.picture import png
from edged.features.anomaly import clip_segments
from tests.edged.explain.conftest import hum


def explained(judge_and_spec, samples, **options):
    judge, spec = judge_and_spec
    return explain_segment(judge, spec, clip_segments(samples, spec)[0], judge.bank.threshold, **options)


@pytest.mark.parametrize("tone", [(3000.0, 4.0, 6.0, 0.05), (6000.0, 7.0, 9.0, 0.05), (1200.0, 2.0, 3.0, 0.1)])
def test_a_tone_is_found_at_its_frequency_and_time(shipped, tone):
    frequency_hz, start_s, end_s, _ = tone
    facts = as_facts(explained(shipped, hum(10.0, 51, tone), n_runs=260))
    assert facts["bands"][0]["from_hz"] <= frequency_hz <= facts["bands"][0]["to_hz"]
    found = [t for t in facts["times"] if t["adds"] > 0.3 * facts["times"][0]["adds"]]
    assert min(t["from_s"] for t in found) == pytest.approx(start_s, abs=0.1)
    assert max(t["to_s"] for t in found) == pytest.approx(end_s, abs=0.1)
    assert facts["map"]["explained_share"] > 0.9


@pytest.mark.parametrize("name", ["small", "without_levels"])
def test_a_short_whine_is_found_by_statistics_alone(name, request):
    found = explained(request.getfixturevalue(name), hum(2.0, 51, (3000.0, 0.8, 1.2, 0.05)), n_runs=300)
    facts = as_facts(found)
    assert facts["bands"][0]["from_hz"] <= 3000 <= facts["bands"][0]["to_hz"]
    assert 0.7 <= facts["times"][0]["from_s"] <= 1.1
    assert facts["map"]["typical"] == ("bank" if name == "small" else "surroundings")


def test_the_parts_add_up_and_the_nearest_is_an_enrolled_clip(shipped):
    judge, _ = shipped
    found = explained(shipped, hum(10.0, 3), n_runs=2)
    assert sum(found.parts.values()) == pytest.approx(found.score)
    assert found.nearest["clip"] == "hum-3"
    assert found.nearest["domain"] == "source"
    assert found.nearest["enrolled_at"] == judge.bank.clips[3].enrolled_at


def test_facts_and_picture_can_be_stored(small):
    found = explained(small, hum(2.0, 51, (3000.0, 0.8, 1.2, 0.05)), n_runs=300)
    assert json.loads(json.dumps(as_facts(found)))["score"] == found.score
    image = Image.open(io.BytesIO(png(found, "press-3: ein Geräusch")))
    pixels = np.asarray(image.convert("RGB")).astype(int)
    area = pixels[71:429, 71:769]
    red = (area[..., 0] - area[..., 1]).clip(0)
    y, x = np.unravel_index(red.argmax(), red.shape)
    assert 0.35 < x / red.shape[1] < 0.65
    assert 0.15 < y / red.shape[0] < 0.45  # 3 kHz on a mel axis to 8 kHz


def test_equal_runs_give_equal_answers(small):
    samples = hum(2.0, 51, (3000.0, 0.8, 1.2, 0.05))
    first, second = (explained(small, samples, n_runs=200).importance.adds for _ in range(2))
    np.testing.assert_array_equal(first, second)
