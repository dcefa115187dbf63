"""A bundle that cannot work with this edged is refused with a reason: every one of these ended in a traceback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edged.assembly import open_bundle
from edged.embed.bundle import features_digest
from edged.errors import BundleError
from edged.features.anomaly import AnomalyFeatures
from edged.features.keyword import KeywordFeatures
from edged.frontend import front_end


def changed(kind, features=None, **manifest):
    """A shipped bundle with another manifest, its digest made right."""
    bundle = open_bundle(kind)
    values = dict(bundle.manifest.features) | (features or {})
    update = {"features": values, "features_digest": features_digest(values), **manifest}
    return replace(bundle, manifest=bundle.manifest.model_copy(update=update))


@pytest.mark.parametrize(("kind", "featuriser"), [("anomaly", AnomalyFeatures), ("keyword", KeywordFeatures)])
def test_the_shipped_bundles_fit(kind, featuriser):
    assert isinstance(front_end(open_bundle(kind)), featuriser)


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (changed("anomaly", {"bogus": 1}), "features.bogus: Extra inputs"),
        (changed("anomaly", {"n_mels": 1 << 30}), "features.n_mels"),
        (changed("anomaly", {"statistics": {}}), "gives no vector"),
        (changed("anomaly", segment_samples=4096), "makes segments of 160000 samples"),
        (changed("keyword", {"kind": "anomaly"}), "features.kind"),
        (changed("keyword", {"n_fft": 1 << 30}), "features.n_fft"),
        (changed("keyword", {"hop_samples": 128}), "makes segments of 512 samples every 512"),
        (changed("keyword", {"context_left_frames": 9}), "no input 'frames' of shape"),
        (changed("anomaly", decision={"threshold_spreads": "x"}), "positive threshold_spreads"),
        (changed("keyword", decision={}), "positive limit_distance"),
        (changed("keyword", decision={**open_bundle("keyword").manifest.decision, "hold_frames": "x"}), "hold_frames"),
        (
            changed("keyword", decision={**open_bundle("keyword").manifest.decision, "brevity_weight": "x"}),
            "brevity_weight",
        ),
        (
            changed("keyword", decision={**open_bundle("keyword").manifest.decision, "brevity_weight": -5.0}),
            "from 0 to 10",
        ),
        (replace(open_bundle("keyword"), calibration={}), "array 'background' of rows"),
        (replace(open_bundle("keyword"), calibration={"background": np.zeros((9, 3))}), "rows of"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(bundle, reason):
    with pytest.raises(BundleError, match=reason):
        front_end(bundle)


def test_parameters_that_this_edged_does_not_know_of_change_the_digest():
    bundle = open_bundle("anomaly")
    foreign = replace(bundle, manifest=bundle.manifest.model_copy(update={"features_digest": "0" * 64}))
    with pytest.raises(BundleError, match="another front end"):
        front_end(foreign)
