"""Bundles: a model and everything needed to use it rightly. Untrusted input: hashed, bounded, never unpickled.

<bundle>/manifest.json      this module's `Manifest`
<bundle>/model.onnx         the network; spectral transforms stay outside of it
<bundle>/model-fp16.onnx    optional: the network with 16-bit types; model-int8.onnx: with Q/DQ pairs
<bundle>/calibration.npz    optional arrays: reference inputs and outputs, background embeddings
<bundle>/card.md            optional: what it was trained on, figures, limits
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edged.errors import BundleError

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
MODEL_NAME = "model.onnx"
CALIBRATION_NAME = "calibration.npz"
TYPED_MODEL_NAMES = {"fp16": "model-fp16.onnx", "int8": "model-int8.onnx"}
CARD_NAME = "card.md"
_OPTIONAL_NAMES = frozenset({MODEL_NAME, CALIBRATION_NAME, CARD_NAME, *TYPED_MODEL_NAMES.values()})
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 512 << 20
MAX_CALIBRATION_BYTES = 256 << 20

_ARCHIVE_ERRORS = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What zipfile, zlib and numpy raise on forged archives (RuntimeError: encrypted or unknown method)."""

Value = str | int | float | bool


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Strict):
    """One named input or output of the model; the shape is that of one segment, without the batch axis."""

    name: str = Field(min_length=1, max_length=64)
    shape: tuple[int, ...] = Field(min_length=1, max_length=4)

    @field_validator("shape")
    @classmethod
    def _bounded(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(n < 1 for n in shape) or np.prod(shape, dtype=np.float64) > 2**26:
            raise ValueError(f"shape {shape} is empty or larger than 2^26 values")
        return shape


class ModelSpec(_Strict):
    """What the ONNX file takes and gives (float32 throughout)."""

    opset: int = Field(ge=11, le=25)
    inputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=8)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1, max_length=8)


class RepresentationSpec(_Strict):
    """One kind of vector that is scored, and how.

    Attributes:
        name: key in `Embedding.vectors`: the model's output name, or the name of a feature.
        source: ``model`` (an ONNX output) or ``features`` (scored as the front end gives it).
        dim: length of the vector (of each frame's vector for keyword bundles).
        backend: name of the back end in `edged.score`.
        params: the back end's parameters.
        weight: its share in the sum of normalised scores.
    """

    name: str = Field(min_length=1, max_length=64)
    source: Literal["model", "features"]
    dim: int = Field(ge=1, le=65536)
    backend: str = Field(min_length=1, max_length=64)
    params: dict[str, Value] = Field(default_factory=dict)
    weight: float = Field(default=1.0, ge=0.0, le=100.0)


class Manifest(_Strict):
    """The contract of a bundle (DESIGN 5.4); `features` holds every parameter of the front end."""

    format: Literal[1] = 1
    kind: Literal["anomaly", "keyword"]
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(min_length=1, max_length=32)
    sample_rate_hz: Literal[16000] = 16000
    segment_samples: int = Field(ge=256, le=16000 * 120)
    hop_samples: int = Field(ge=16, le=16000 * 120)
    features: dict[str, Any]
    features_digest: str
    model: ModelSpec | None = None
    representations: tuple[RepresentationSpec, ...] = Field(min_length=1, max_length=8)
    score_direction: Literal["higher_is_more_anomalous", "higher_is_more_certain"]
    decision: dict[str, Value] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    parity: dict[str, float] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: the files are those the manifest names, byte for byte."""

    directory: Path
    manifest: Manifest
    digest: str
    calibration: Mapping[str, NDArray[Any]]

    @property
    def label(self) -> str:
        """Identity for events and people: ``id@version:digest``."""
        return f"{self.manifest.id}@{self.manifest.version}:{self.digest[:12]}"

    @property
    def vectors_digest(self) -> str:
        """sha256 of everything that vectors depend on: front end, network, and which of their outputs are taken.

        Back ends, weights, thresholds, calibration and the card may change without it: references that were embedded by
        one bundle are of use to every other with the same digest.
        """
        manifest = self.manifest
        facts = {
            "kind": manifest.kind,
            "features": manifest.features_digest,
            "model": manifest.files.get(MODEL_NAME) if manifest.model else None,
            "representations": sorted([spec.name, spec.source, spec.dim] for spec in manifest.representations),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def model_path(self) -> Path | None:
        """The ONNX file, or None for a bundle that scores features alone."""
        return self.directory / MODEL_NAME if self.manifest.model else None

    def typed_model_path(self, precision: str) -> Path | None:
        """The ONNX file that carries a precision itself, where the bundle has one."""
        if precision == "fp32":
            return self.model_path
        name = TYPED_MODEL_NAMES[precision]
        return self.directory / name if name in self.manifest.files else None

    @property
    def typed_models(self) -> dict[str, Path]:
        """All of those: precision -> file."""
        return {precision: path for precision in TYPED_MODEL_NAMES if (path := self.typed_model_path(precision))}

    @property
    def card(self) -> str:
        """What its makers say of it, if anything; a card that the manifest does not list is not theirs."""
        if CARD_NAME not in self.manifest.files:
            return ""
        return (self.directory / CARD_NAME).read_text(encoding="utf-8", errors="replace")


def load_bundle(directory: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: something is missing, too large, altered or does not fit; nothing is used.
    """
    manifest_bytes = _read_bounded(directory / MANIFEST_NAME, MAX_MANIFEST_BYTES)
    manifest = _parse_manifest(directory, manifest_bytes)
    _check_files(directory, manifest)
    _check_representations(directory, manifest)
    calibration = _read_calibration(directory / CALIBRATION_NAME) if CALIBRATION_NAME in manifest.files else {}
    return Bundle(directory, manifest, hashlib.sha256(manifest_bytes).hexdigest(), calibration)


def write_bundle(
    directory: Path,
    manifest: Manifest,
    *,
    model: Path | None = None,
    typed_models: Mapping[str, Path] | None = None,
    calibration: Mapping[str, NDArray[Any]] | None = None,
    card: str = "",
) -> Bundle:
    """Write a bundle beside its place and move it there when it is complete and verifies.

    Args:
        directory: where it is to stand; an existing bundle there is replaced.
        manifest: without `files`, which is filled in here.
        typed_models: the same network in other precisions: ``fp16``, ``int8`` -> file.
    """
    staging = directory.with_name(f".{directory.name}.new")
    _empty(staging)
    if model is not None:
        (staging / MODEL_NAME).write_bytes(model.read_bytes())
    for precision, path in (typed_models or {}).items():
        (staging / TYPED_MODEL_NAMES[precision]).write_bytes(path.read_bytes())
    if calibration:
        np.savez_compressed(staging / CALIBRATION_NAME, **dict(calibration))  # type: ignore[arg-type]
    if card:
        (staging / CARD_NAME).write_text(card, encoding="utf-8")
    files = {path.name: file_sha256(path) for path in sorted(staging.iterdir())}
    text = manifest.model_copy(update={"files": files}).model_dump_json(indent=1)
    (staging / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    load_bundle(staging)
    _replace(staging, directory)
    return load_bundle(directory)


def features_digest(features: Mapping[str, Any]) -> str:
    """sha256 of a front end's parameters as canonical JSON; equals `FeatureSpec.digest`.

    >>> features_digest({"b": 1, "a": 2}) == features_digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(dict(features), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_bounded(path: Path, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(limit_bytes + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}", fix="name a directory that holds a bundle") from error
    if len(data) > limit_bytes:
        raise BundleError(f"{path}: larger than {limit_bytes} bytes")
    return data


def _parse_manifest(directory: Path, data: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise BundleError(f"{directory / MANIFEST_NAME}: {problems}", fix="export the bundle again") from error
    if features_digest(manifest.features) != manifest.features_digest:
        raise BundleError(f"{directory}: the front-end parameters do not match their digest", fix="export it again")
    return manifest


def _check_files(directory: Path, manifest: Manifest) -> None:
    expected = set(manifest.files)
    if not expected <= _OPTIONAL_NAMES:
        raise BundleError(f"{directory}: names unexpected files {sorted(expected)}")
    if manifest.model and MODEL_NAME not in expected:
        raise BundleError(f"{directory}: the manifest describes a model but lists no {MODEL_NAME}")
    for name, digest in manifest.files.items():
        path = directory / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path}: missing", fix="copy the bundle again")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BundleError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
        if file_sha256(path) != digest:
            raise BundleError(f"{path}: altered (its sha256 is not the manifest's)", fix="copy the bundle again")


def _check_representations(directory: Path, manifest: Manifest) -> None:
    outputs = {o.name: o.shape for o in manifest.model.outputs} if manifest.model else {}
    for spec in manifest.representations:
        if spec.source == "model" and outputs.get(spec.name, (0,))[-1] != spec.dim:
            raise BundleError(f"{directory}: representation '{spec.name}' is no model output of {spec.dim} values")


def _read_calibration(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an npz, without unpickling and with the unpacked size checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_CALIBRATION_BYTES:
                raise BundleError(f"{path}: unpacks to more than {MAX_CALIBRATION_BYTES >> 20} MiB")
            return {info.filename.removesuffix(".npy"): _read_array(archive, info) for info in archive.infolist()}
    except _ARCHIVE_ERRORS as error:
        raise BundleError(f"{path}: {error or type(error).__name__}", fix="copy the bundle again") from error


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; its header may not promise more than the member holds, or the promise alone would fill the memory."""
    with archive.open(info) as member:
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read_header(member)
        n_bytes = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or n_bytes > info.file_size:
            raise ValueError(f"{info.filename} holds objects, or less than its header says")
        values = np.frombuffer(member.read(n_bytes), dtype)
        return values.reshape(shape, order="F" if is_fortran else "C").copy()


def _empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        path.unlink()


def is_replaceable(directory: Path) -> bool:
    """Whether a bundle may take this place: nothing is there, or nothing but the files of a bundle."""
    if directory.is_symlink() or not directory.is_dir():
        return not directory.is_symlink() and not directory.exists()
    return {path.name for path in directory.iterdir()} <= {MANIFEST_NAME, *_OPTIONAL_NAMES}


def _replace(staging: Path, directory: Path) -> None:
    """Swap directories by two renames; the window between them is covered by the kept old one."""
    old = directory.with_name(f".{directory.name}.old")
    if not is_replaceable(directory):
        raise BundleError(f"{directory}: holds files that are no bundle's", fix="name another directory")
    if directory.exists():
        directory.replace(old)
    staging.replace(directory)
    if old.exists():
        _empty(old)
        old.rmdir()
