"""What comes from other devices: bundles and archives of references.

Their hashes and signatures are made to fit, so that what lies behind those is reached.
"""

import hashlib
import io
import json
import zipfile

import numpy as np

from edged.assembly import Assembly
from edged.config import Config
from edged.embed.bundle import (
    MANIFEST_NAME,
    MODEL_NAME,
    Manifest,
    ModelSpec,
    RepresentationSpec,
    TensorSpec,
    features_digest,
    file_sha256,
    load_bundle,
    write_bundle,
)
from edged.features.anomaly import AnomalySpec
from edged.references.archive import ArchiveManifest, read_archive
from edged.references.clips import ANOMALY_CLIPS, ClipSet, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.signing import DeviceKey, trusted_signers
from edged.references.store import BankStore
from edged.references.transfer import export_bank, import_bank
from tests.fakes.sounds import machine
from tests.faults.fuzz.target import Target


def small_bundle(directory):
    """Segments of 1 s, scored by 32 means."""
    spec = AnomalySpec(segment_samples=16000, hop_samples=8192, inputs=(), n_mels=32, statistics={"mean": ("mean",)})
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="mean", source="features", dim=32, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(directory, manifest).directory


def manifest(directory):
    """A bundle's manifest, with the digests that it should have."""
    bundle = directory / "bundle"
    small_bundle(bundle)
    (bundle / MODEL_NAME).write_bytes(b"no model")
    path, digest = bundle / MANIFEST_NAME, file_sha256(bundle / MODEL_NAME)
    plain = json.loads(path.read_text())
    model = ModelSpec(
        opset=17,
        inputs=(TensorSpec(name="log_mel", shape=(311, 128)),),
        outputs=(TensorSpec(name="embedding", shape=(256,)),),
    ).model_dump(mode="json")  # fmt: skip
    with_model = plain | {"model": model, "files": {MODEL_NAME: digest}}

    def run(data):
        path.write_bytes(_with_digests(data, digest))
        bundle_read = load_bundle(bundle)
        assert bundle_read.label

    seeds = [json.dumps(facts).encode() for facts in (plain, with_model)]
    return Target(seeds, run, words=[*plain, *model, "1e999", "-1", "null", "NaN"])


def _with_digests(data, model_digest):
    try:
        facts = json.loads(data)
        facts["features_digest"] = features_digest(facts["features"])
        if MODEL_NAME in facts["files"]:
            facts["files"][MODEL_NAME] = model_digest
        return json.dumps(facts).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return data


class _Device:
    """A state with references, and what another device would export of them."""

    def __init__(self, directory):
        self.state = directory / "state"
        self.state.mkdir()
        bundle = small_bundle(directory / "bundle")
        facts = {
            "state_dir": str(self.state), "devices": {"d": {"source": "microphone"}},
            "streams": {"press": {"device": "d", "monitors": {"anomaly": {"bundle": str(bundle)}}}},
        }  # fmt: skip
        self.assembly = Assembly(Config.model_validate(facts))
        clips = [clip_of_samples(f"{seed}", machine(3.0, seed), ANOMALY_CLIPS) for seed in range(4)]
        self.archive = directory / "bank"
        self.key = DeviceKey(self.state)
        with BankStore(self.state) as store:
            enroll_domain(self.assembly, store, "press", ClipSet(tuple(clips)))
            export_bank(store, self.state, "press", "anomaly", self.archive)
        with zipfile.ZipFile(self.archive) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}


def archive(directory):
    """An archive as it comes: nobody signed it, or not this."""
    device = _Device(directory)
    trusted, path = trusted_signers(device.state), directory / "altered"

    def run(data):
        path.write_bytes(data)
        read_archive(path, trusted)

    return Target([device.archive.read_bytes()], run, words=["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", *device.members])


def bank(directory):
    """A bank that somebody trusted signed: its facts, a 0 byte, and the data of its arrays."""
    device = _Device(directory)
    path = directory / "signed"
    facts, arrays = device.members["facts.json"], device.members["arrays.npz"]
    names = np.load(io.BytesIO(arrays), allow_pickle=False).files

    def run(data):
        changed, _, rest = data.partition(b"\0")
        path.write_bytes(_signed(device, changed or facts, _overlaid(arrays, rest)))
        with BankStore(device.state) as store:
            import_bank(device.assembly, store, device.state, "press", path, dry_run=True)

    words = [*names, *json.loads(facts), "null", "-1", "1e400", "NaN", "[]", "{}"]
    return Target([facts, facts + b"\0" + arrays, b"\0" + arrays], run, words=words)


def _overlaid(arrays, rest):
    """The arrays' file as given, or with the bytes from behind laid over it where they are fewer."""
    return rest if len(rest) >= len(arrays) else arrays[: len(arrays) - len(rest)] + rest


def _signed(device, facts, arrays):
    parts = {"facts.json": facts, "arrays.npz": arrays}
    manifest = ArchiveManifest.model_validate_json(device.members["manifest.json"])
    sums = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in parts.items()}
    signed = ArchiveManifest.model_validate(manifest.model_dump() | {"parts": sums}).model_dump_json().encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {"manifest.json": signed, "signature": device.key.sign(signed), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
