"""From a bundle to the front end it was trained with; what its manifest promises of features and scores is held here.

`edged.embed.bundle` checks a bundle by itself (hashes, bounds); here it is checked against what this edged computes,
so that a bundle that cannot work is refused with a reason before anything of it is used.
"""

from __future__ import annotations

import hashlib
import math
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from edged.embed.bundle import Bundle
from edged.embed.packed_rows import unpack_rows
from edged.errors import BundleError
from edged.features.anomaly import AnomalyFeatures, AnomalySpec
from edged.features.keyword import FRAMES, KeywordFeatures, KeywordSpec
from edged.features.spec import FeatureSpec
from edged.flow import Float32Array
from edged.score.keyword import Reach

_Spec = TypeVar("_Spec", bound=FeatureSpec)
KEYWORD_DECISION = ("limit_distance", "loose_distance", "hold_frames", "loose_hold_frames")
_DECISION_RANGES = (("ordinary_quantile", 0.0, 1.0), ("own_exponent", 0.0, 1.0), ("brevity_weight", 0.0, 10.0))
BACKGROUND = "background"
"""Calibration array of keyword bundles: float (n_frames, dim), embeddings of ordinary speech."""
PACKED, PACKED_SCALES = "background_packed", "background_scales"
"""In its place, much more of it: `edged.embed.packed_rows`."""
SHORT_ROWS = 5_600
"""A minute and a half: enough for a word's ordinary distance."""


def front_end(bundle: Bundle) -> AnomalyFeatures | KeywordFeatures:
    """A new featuriser of the bundle's kind.

    Raises:
        BundleError: the bundle does not fit this version of edged.
    """
    if bundle.manifest.kind == "anomaly":
        return AnomalyFeatures(anomaly_spec(bundle))
    return KeywordFeatures(keyword_spec(bundle))


def anomaly_spec(bundle: Bundle) -> AnomalySpec:
    """The front end of an anomaly bundle.

    Raises:
        BundleError: the bundle does not fit this version of edged.
    """
    spec = _parsed(AnomalySpec, bundle)
    shapes = {name: spec.shape(name) for name in (*spec.inputs, *spec.statistics)}
    _refuse_unless_equal(bundle, spec.segment_samples, spec.hop_samples, shapes)
    if not _is_positive(bundle.manifest.decision.get("threshold_spreads", 1.0)):
        raise _misfit(bundle, "its decision needs a positive threshold_spreads")
    return spec


def keyword_spec(bundle: Bundle) -> KeywordSpec:
    """The front end of a keyword bundle.

    Raises:
        BundleError: the bundle does not fit this version of edged, or lacks what its decisions need.
    """
    spec = _parsed(KeywordSpec, bundle)
    segment_samples = spec.segment_frames * spec.hop_samples
    _refuse_unless_equal(bundle, segment_samples, segment_samples, {FRAMES: (spec.input_frames, spec.n_mels)})
    decision = bundle.manifest.decision
    lacking = [name for name in KEYWORD_DECISION if not _is_positive(decision.get(name))]
    if lacking:
        raise _misfit(bundle, f"its decision needs a positive {lacking[0]}")
    _check_background(bundle)
    for name, low, high in _DECISION_RANGES:
        value = decision.get(name, low)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise _misfit(bundle, f"its decision needs {name} from {low:g} to {high:g}")
    return spec


def speech_rows(bundle: Bundle) -> Float32Array:
    """All embeddings of ordinary speech that a keyword bundle holds, float32 (n_rows, dim)."""
    if PACKED in bundle.calibration:
        return unpack_rows(bundle.calibration[PACKED], bundle.calibration[PACKED_SCALES])
    return np.asarray(bundle.calibration[BACKGROUND], dtype=np.float32)


def background_rows(bundle: Bundle) -> Float32Array:
    """Some of them, where all would take too long: float32 (n_rows, dim)."""
    if PACKED in bundle.calibration:
        return unpack_rows(bundle.calibration[PACKED][:SHORT_ROWS], bundle.calibration[PACKED_SCALES][:SHORT_ROWS])
    return np.asarray(bundle.calibration[BACKGROUND], dtype=np.float32)


def keyword_reach(bundle: Bundle) -> Reach:
    """What a word's distances are divided by, as the bundle says; as always where it says nothing."""
    decision = bundle.manifest.decision
    return Reach(float(decision.get("ordinary_quantile", 0.5)), float(decision.get("own_exponent", 0.0)))


def measure_digest(bundle: Bundle) -> str:
    """What words are measured by, as a digest: how far they reach, and the speech they are held against."""
    numbers = [float(bundle.manifest.decision.get(name, 0.0)) for name, _, _ in _DECISION_RANGES]
    digest = hashlib.sha256(np.array(numbers).tobytes())
    for name in (BACKGROUND, PACKED, PACKED_SCALES):
        if name in bundle.calibration:
            array = np.ascontiguousarray(bundle.calibration[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:32]


def brevity_weight(bundle: Bundle) -> float:
    """How much more paths count that are shorter than their template, as the keyword bundle says; else nothing."""
    return float(bundle.manifest.decision.get("brevity_weight", 0.0))


def _check_background(bundle: Bundle) -> None:
    dim = bundle.manifest.representations[0].dim
    packed, scales = bundle.calibration.get(PACKED), bundle.calibration.get(PACKED_SCALES)
    if packed is not None:
        if scales is None or packed.dtype != np.uint8 or packed.ndim != 2 or scales.shape != packed.shape[:1]:
            raise _misfit(bundle, f"its calibration needs '{PACKED}' of bytes, and as many '{PACKED_SCALES}'")
        if 2 * packed.shape[1] != dim or not len(packed):
            raise _misfit(bundle, f"its calibration needs an array '{PACKED}' of rows of {dim} values")
        if scales.dtype != np.float16 or not np.isfinite(scales).all():
            raise _misfit(bundle, f"its calibration needs finite '{PACKED_SCALES}'")
        return
    background = bundle.calibration.get(BACKGROUND)
    if background is None or background.ndim != 2 or background.shape[1] != dim or len(background) == 0:
        raise _misfit(bundle, f"its calibration needs an array '{BACKGROUND}' of rows of {dim} values")


def _parsed(model: type[_Spec], bundle: Bundle) -> _Spec:
    try:
        spec = model.model_validate(bundle.manifest.features)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("features", *first["loc"])))
        raise _misfit(bundle, f"{where}: {first['msg']}") from error
    if spec.digest() != bundle.manifest.features_digest:
        raise _misfit(bundle, "made for another front end than this edged has")
    return spec


def _refuse_unless_equal(
    bundle: Bundle, segment_samples: int, hop_samples: int, shapes: dict[str, tuple[int, ...]]
) -> None:
    """Segment, hop, the model's inputs and the scored features are what the front end gives."""
    manifest = bundle.manifest
    if (manifest.segment_samples, manifest.hop_samples) != (segment_samples, hop_samples):
        raise _misfit(bundle, f"its front end makes segments of {segment_samples} samples every {hop_samples}")
    for tensor in manifest.model.inputs if manifest.model else ():
        if shapes.get(tensor.name) != tensor.shape:
            raise _misfit(bundle, f"its front end gives no input '{tensor.name}' of shape {tensor.shape}")
    for spec in manifest.representations:
        if spec.source == "features" and shapes.get(spec.name) != (spec.dim,):
            raise _misfit(bundle, f"its front end gives no vector '{spec.name}' of {spec.dim} values")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


def _misfit(bundle: Bundle, reason: str) -> BundleError:
    return BundleError(f"{bundle.directory}: {reason}", fix="export the bundle again")
