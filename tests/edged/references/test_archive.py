"""Archives of references: only whole, unaltered and from a trusted key; then one new version."""

import json
import zipfile

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.config import Config
from edged.embed.bundle import Manifest, RepresentationSpec, write_bundle
from edged.errors import EnrolmentError, StateError, UsageError
from edged.features.anomaly import AnomalySpec
from edged.references import archive as module
from edged.references.clips import ANOMALY_CLIPS, ClipSet, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.signing import TRUSTED_DIR_NAME, DeviceKey, given_signer, trusted_signers
from edged.references.store import BankStore
from edged.references.transfer import export_bank, import_bank
from tests.fakes.sounds import machine

RECORD = {"name": "x", "sha256": "s", "label": "a", "duration_s": 3.0, "enrolled_at": "t"}
HEARD = {"quietest_dbfs": -40.0, "loudest_dbfs": 0.0, "clipped_share": 0.0, "broken_share": 0.0, "colour": 1.0}


def bundle_of(directory, n_mels=32):
    spec = AnomalySpec(
        segment_samples=16000, hop_samples=8192, inputs=(), n_mels=n_mels, statistics={"mean": ("mean",)}
    )
    manifest = Manifest(
        kind="anomaly", id="small", version="1", segment_samples=16000, hop_samples=8192,
        features=spec.model_dump(mode="json"), features_digest=spec.digest(),
        representations=(RepresentationSpec(name="mean", source="features", dim=n_mels, backend="density"),),
        score_direction="higher_is_more_anomalous",
    )  # fmt: skip
    return write_bundle(directory, manifest).directory


class Device:
    def __init__(self, root, name, bundle):
        self.state = root / name
        self.state.mkdir()
        streams = {s: {"device": "d", "monitors": {"anomaly": {"bundle": str(bundle)}}} for s in ("press", "saw")}
        facts = {"state_dir": str(self.state), "devices": {"d": {"source": "microphone"}}, "streams": streams}
        self.assembly = Assembly(Config.model_validate(facts))

    def enroll(self, seeds):
        clips = [clip_of_samples(f"{seed}", machine(3.0, seed), ANOMALY_CLIPS) for seed in seeds]
        with BankStore(self.state) as store:
            enroll_domain(self.assembly, store, "press", ClipSet(tuple(clips)))

    def export(self, out, stream="press"):
        with BankStore(self.state) as store:
            return export_bank(store, self.state, stream, "anomaly", out)

    def take(self, path, stream="press", **options):
        with BankStore(self.state) as store:
            return import_bank(self.assembly, store, self.state, stream, path, **options)

    def trust(self, other):
        (self.state / TRUSTED_DIR_NAME).mkdir(exist_ok=True)
        (self.state / TRUSTED_DIR_NAME / "other.pub").write_text(DeviceKey(other.state).public + "\n")

    def active(self, stream="press"):
        with BankStore(self.state) as store:
            return store.load_active(stream, "anomaly")


@pytest.fixture
def plant(tmp_path):
    bundle = bundle_of(tmp_path / "bundle")
    one, two = Device(tmp_path, "one", bundle), Device(tmp_path, "two", bundle)
    one.enroll(range(4))
    one.export(tmp_path / "bank")
    return one, two, tmp_path / "bank"


def altered(path, **changes):
    """A copy with members replaced (None = left out), their compression or names as asked."""
    method = changes.pop("method", zipfile.ZIP_STORED)
    other = path.with_name("altered")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(other, "w", method) as copy:
        members = {name: whole.read(name) for name in whole.namelist()} | changes
        for name, data in members.items():
            if data is not None:
                copy.writestr(name, data)
    return other


def signed_by(device, path, *, arrays=None, facts=None):
    """What a trusted device might sign that is no usable bank."""
    stored = device.active()
    with BankStore(device.state) as store:
        version = store.commit(
            "saw", "anomaly", {**stored.facts, **(facts or {})}, {**stored.arrays, **(arrays or {})},
            reason="x", based_on=store.active_version("saw", "anomaly"),
        )  # fmt: skip
    assert version
    path.unlink(missing_ok=True)
    device.export(path, "saw")
    return path


def test_a_trusted_siblings_bank_arrives_bit_for_bit(plant):
    one, two, path = plant
    two.enroll(range(10, 12))
    two.trust(one)
    report = two.take(path)
    assert (report["version"], report["labels"]) == (2, {"source": 4})
    ours, theirs = one.active(), two.active()
    assert ours.facts == theirs.facts
    assert {k: v.tobytes() for k, v in ours.arrays.items()} == {k: v.tobytes() for k, v in theirs.arrays.items()}
    with BankStore(two.state) as store:
        assert store.rollback("press", "anomaly") == 1
        assert store.versions("press", "anomaly")[0].reason == "imported press version 1"


def test_this_devices_own_archive_may_go_to_another_stream(plant):
    one, _, path = plant
    assert one.take(path, "saw")["version"] == 1
    assert one.active("saw").facts == one.active("press").facts


def test_a_stranger_is_refused_with_what_would_make_it_trusted(plant):
    one, two, path = plant
    with pytest.raises(EnrolmentError, match=r"not trusted here.*--signer"):
        two.take(path)
    assert two.active() is None
    assert two.take(path, signer=DeviceKey(one.state).public)["version"] == 1


def test_a_dry_run_checks_everything_and_changes_nothing(plant):
    one, two, path = plant
    two.trust(one)
    report = two.take(path, dry_run=True)
    assert (report["dry_run"], report["version"], report["labels"]) == (True, 0, {"source": 4})
    assert two.active() is None
    with pytest.raises(EnrolmentError, match="altered"):
        two.take(altered(path, **{"facts.json": b"{}"}), dry_run=True)


def test_another_bundles_bank_is_refused(plant, tmp_path):
    one, _, path = plant
    other = Device(tmp_path, "other", bundle_of(tmp_path / "bundle2", n_mels=16))
    other.trust(one)
    with pytest.raises(StateError, match="enrolled with bundle small"):
        other.take(path)


def one_bit_flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    other = path.with_name("flipped")
    other.write_bytes(data)
    return other


def test_a_flipped_bit_is_refused_or_lies_where_nobody_reads(plant):
    one, _, path = plant
    trusted = trusted_signers(one.state)
    whole = module.read_archive(path, trusted)
    refused = 0
    for at in np.linspace(0, path.stat().st_size - 1, 200).astype(int):
        try:
            archive = module.read_archive(one_bit_flipped(path, at), trusted)
        except EnrolmentError:
            refused += 1
            continue
        assert (archive.manifest, archive.facts) == (whole.manifest, whole.facts)
        assert all(archive.arrays[name].tobytes() == value.tobytes() for name, value in whole.arrays.items())
    assert refused > 180


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_archives_are_refused(plant, share):
    one, _, path = plant
    cut = path.with_name("cut")
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(EnrolmentError, match="no archive of references"):
        one.take(cut)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": zipfile.ZIP_DEFLATED}, "compressed"),
        ({"facts.json": b"\0" * (64 << 20), "method": zipfile.ZIP_DEFLATED}, "compressed"),
        ({"facts.json": b"{}"}, "facts.json was altered"),
        ({"arrays.npz": b"x"}, "arrays.npz was altered"),
        ({"signature": b"x" * 64}, "its signature does not fit"),
        ({"signature": b"x"}, "no signature"),
        ({"signature": None}, "no archive of references"),
        ({"../../etc/passwd": b"x"}, "no archive of references"),
        ({"manifest.json": b"x" * 100_000}, "manifest too large"),
        ({"manifest.json": b"{}"}, "manifest: stream"),
    ],
)
def test_altered_archives_are_refused_with_the_reason(plant, changes, message):
    one, _, path = plant
    with pytest.raises(EnrolmentError, match=message):
        one.take(altered(path, **changes))


def test_a_manifest_changed_after_signing_is_refused(plant):
    one, _, path = plant
    with zipfile.ZipFile(path) as whole:
        manifest = json.loads(whole.read("manifest.json")) | {"stream": "other"}
    with pytest.raises(EnrolmentError, match="its signature does not fit"):
        one.take(altered(path, **{"manifest.json": json.dumps(manifest).encode()}))


def test_files_that_are_no_archive_are_refused(plant, tmp_path):
    one, _, _ = plant
    huge = tmp_path / "huge"
    with huge.open("wb") as handle:
        handle.truncate(10 << 30)
    (tmp_path / "text").write_text("no zip")
    for path in (huge, tmp_path / "text", tmp_path / "absent", tmp_path, "/dev/zero"):
        with pytest.raises(EnrolmentError):
            one.take(tmp_path / path)


def test_a_list_of_many_members_is_not_read_into_memory(plant, tmp_path, monkeypatch):
    # of strangers, too: a quarter of a gigabyte of it took two of memory before anybody looked at the signature
    one, _, path = plant
    with zipfile.ZipFile(tmp_path / "many", "w") as archive:
        for number in range(100):
            archive.writestr(f"member-{number}", b"")
    monkeypatch.setattr(module.zipfile, "ZipFile", lambda *_: pytest.fail("was opened"))
    with pytest.raises(EnrolmentError, match="no archive of references"):
        one.take(tmp_path / "many")
    data = bytearray(path.read_bytes())
    data[-42:-38] = b"PK\6\7"  # a longer list elsewhere, as large archives have it
    path.write_bytes(data)
    with pytest.raises(EnrolmentError, match="no archive of references"):
        one.take(path)


def test_a_strangers_parts_are_not_read(plant, monkeypatch):
    _, two, path = plant
    read = []
    whole = zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, name: read.append(name) or whole(self, name))
    with pytest.raises(EnrolmentError, match="not trusted"):
        two.take(path)
    assert read == ["manifest.json", "signature"]


def test_what_a_stranger_wrote_is_shown_without_control_characters(plant):
    one, _, path = plant
    with zipfile.ZipFile(path) as whole:
        manifest = json.loads(whole.read("manifest.json")) | {"signer": "x\x1b[2J"}
    for other in (
        altered(path, **{"manifest.json": json.dumps(manifest).encode()}),
        altered(path, **{"a\x1b[2J": b""}),
    ):
        with pytest.raises(EnrolmentError, match=r"x1b\[2J") as refusal:
            one.take(other)
        assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize(
    "damage",
    [
        {"arrays": {"vectors/mean": np.zeros((20, 3), np.float32)}},
        {"arrays": {"vectors/mean": np.full((20, 32), np.nan, np.float32)}},
        {"arrays": {"clip_of_row": np.full(20, 10**9)}},
        {"arrays": {"clip_of_row": np.zeros(3, np.int64)}},
        {"facts": {"domains": []}},
        {"facts": {"clips": [{"name": "x"}]}},
        {"facts": {"threshold": "high"}},
        {"facts": {"threshold": float("nan")}},
        # accepted once, these ended the daemon when they were used, and again at every start
        {"arrays": {"clip_of_row": np.full(20, -(10**6))}},
        {"arrays": {"scorer/normal_scores": np.zeros(2)}},
        {"arrays": {"scorer/normal_scores": np.full(20, np.nan)}},
        {"arrays": {"scorer/domains": np.array(["source"])}},
        {"facts": {"ceiling": "5"}},
        {"facts": {"scoring": 3}},
        {"facts": {"labelled": [{"event_id": "e", "name": "n", "sha256": "s", "labelled_at": "t", "insists": False,
                                 "n_segments": 1}]},
         "arrays": {"labelled/mean": np.zeros((1, 3), np.float32)}},
        {"facts": {"clips": [{**RECORD, "label": "a\x1b[2J"}] * 4}},
        {"facts": {"clips": [{**RECORD, "heard": {**HEARD, "colour": "x"}}] * 4}},
    ],
)  # fmt: skip
def test_what_is_signed_but_no_bank_is_refused(plant, tmp_path, damage):
    one, two, _ = plant
    two.trust(one)
    path = signed_by(one, tmp_path / "odd", **damage)
    with pytest.raises((EnrolmentError, StateError)):
        two.take(path)
    assert two.active() is None


def test_arrays_that_promise_more_than_they_hold_are_not_read():
    with pytest.raises(ValueError, match="headers say"):
        module._bounded_npz(_npz_promising((1 << 40,)))


def _npz_promising(shape):
    import io

    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    return buffer.getvalue()


def test_an_export_overwrites_nothing_and_needs_something_enrolled(plant, tmp_path):
    one, two, path = plant
    before = path.read_bytes()
    with pytest.raises(EnrolmentError, match="exists already"):
        one.export(path)
    assert path.read_bytes() == before
    with pytest.raises(EnrolmentError, match="can be written"):
        one.export(tmp_path / "nowhere" / "bank")
    with pytest.raises(StateError, match="nothing is enrolled"):
        two.export(tmp_path / "other")
    assert not list(tmp_path.glob(".*"))


def test_an_export_onto_a_medium_without_hard_links_is_whole_and_overwrites_nothing(plant, tmp_path, monkeypatch):
    # a FAT memory stick was refused: "Operation not permitted; name a place that can be written"
    one, _, path = plant

    def unknown(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(type(path), "hardlink_to", unknown)
    one.export(tmp_path / "stick")
    assert one.take(tmp_path / "stick", "saw")["version"] == 1
    with pytest.raises(EnrolmentError, match="exists already"):
        one.export(path)
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_is_no_key_among_those_trusted_is_named(plant):
    one, two, path = plant
    two.trust(one)
    (two.state / TRUSTED_DIR_NAME / "README").write_text("keys")
    with pytest.raises(UsageError, match=r"README: 'keys' is no public signing key"):
        two.take(path)


def test_the_devices_key_is_made_once_and_kept_private(tmp_path):
    key = DeviceKey(tmp_path)
    assert DeviceKey(tmp_path).public == key.public
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        DeviceKey(tmp_path)


def test_damaged_keys_are_refused(tmp_path):
    (tmp_path / "signing.key").write_bytes(b"short")
    (tmp_path / "signing.key").chmod(0o600)
    with pytest.raises(StateError, match="no signing key"):
        DeviceKey(tmp_path)
    for text in ("", "edged-ed25519:", "edged-ed25519:!!", "AAAA", "edged-ed25519:" + "A" * 43):
        with pytest.raises(UsageError, match="no public signing key"):
            given_signer(text)


def test_a_signer_may_be_named_by_its_file(plant):
    one, two, path = plant
    key_file = path.with_name("one.pub")
    key_file.write_text(DeviceKey(one.state).public + "\n")
    assert two.take(path, signer=str(key_file))["version"] == 1
