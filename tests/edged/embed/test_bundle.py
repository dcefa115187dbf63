"""Bundles are untrusted: whatever is damaged or forged is refused with BundleError before anything of it is used."""

import contextlib
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.embed import bundle as bundles
from edged.embed.bundle import (
    Manifest,
    ModelSpec,
    RepresentationSpec,
    TensorSpec,
    features_digest,
    file_sha256,
    load_bundle,
    write_bundle,
)
from edged.errors import BundleError
from edged.features.anomaly import AnomalySpec

FEATURES = AnomalySpec(inputs=()).model_dump(mode="json")


def manifest(**changes):
    values = {
        "kind": "anomaly",
        "id": "test",
        "version": "1",
        "segment_samples": 160000,
        "hop_samples": 40960,
        "features": FEATURES,
        "features_digest": features_digest(FEATURES),
        "representations": (RepresentationSpec(name="statistics", source="features", dim=384, backend="density"),),
        "score_direction": "higher_is_more_anomalous",
    }
    return Manifest(**(values | changes))


def with_model(**changes):
    spec = ModelSpec(
        opset=17,
        inputs=(TensorSpec(name="log_mel", shape=(311, 128)),),
        outputs=(TensorSpec(name="embedding", shape=(256,)),),
    )
    return manifest(model=spec, **changes)


@pytest.fixture
def directory(tmp_path):
    """A bundle with a model that is no ONNX (nothing here runs it), calibration arrays and a card."""
    model = tmp_path / "model"
    model.write_bytes(b"not really onnx")
    target = tmp_path / "bundle"
    write_bundle(target, with_model(), model=model, calibration={"background": np.arange(6.0)}, card="# card\n")
    return target


def edit_manifest(directory, **changes):
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_calibration(directory, data):
    """Other bytes, with the manifest's hash adjusted: the forger controls the manifest too."""
    path = directory / "calibration.npz"
    path.write_bytes(data)
    files = json.loads((directory / "manifest.json").read_text())["files"]
    edit_manifest(directory, files=files | {"calibration.npz": file_sha256(path)})


def test_what_is_written_is_read_back(directory):
    bundle = load_bundle(directory)
    assert bundle.manifest.model == with_model().model
    assert bundle.calibration["background"].tolist() == [0, 1, 2, 3, 4, 5]
    assert set(bundle.manifest.files) == {"model.onnx", "calibration.npz", "card.md"}
    assert bundle.label.startswith("test@1:")
    assert bundle.model_path == directory / "model.onnx"


def test_a_bundle_without_model_scores_features_alone(tmp_path):
    bundle = write_bundle(tmp_path / "plain", manifest())
    assert bundle.model_path is None
    assert bundle.calibration == {}


def test_writing_again_replaces_the_bundle_whole(directory):
    write_bundle(directory, manifest(version="2"))
    assert sorted(path.name for path in directory.iterdir()) == ["manifest.json"]
    assert load_bundle(directory).manifest.version == "2"
    assert [path.name for path in directory.parent.iterdir() if path.name.startswith(".")] == []


def test_a_bundle_that_would_not_load_is_not_put_in_place(directory):
    before = load_bundle(directory).digest
    with pytest.raises(BundleError, match="lists no model"):
        write_bundle(directory, with_model(version="2"))
    assert load_bundle(directory).digest == before


def test_a_folder_of_other_files_is_not_replaced(directory):
    """Writing a bundle onto a folder of recordings deleted them."""
    bundle = load_bundle(directory)
    (directory / "recording.wav").write_bytes(b"years of work")
    with pytest.raises(BundleError, match="no bundle's"):
        write_bundle(directory, bundle.manifest, model=bundle.model_path, calibration=bundle.calibration)
    assert (directory / "recording.wav").read_bytes() == b"years of work"


def test_an_absent_directory_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere.*name a directory that holds a bundle"):
        load_bundle(tmp_path / "nowhere")


def test_a_card_is_shown_whatever_it_holds_and_only_if_it_belongs_to_the_bundle(tmp_path):
    """One that is no UTF-8 ended `edged bundle show` with a traceback; one put beside a bundle was shown as its own."""
    odd = write_bundle(tmp_path / "odd", manifest(), card="# card")
    (odd.directory / "card.md").write_bytes(b"# caf\xe9\n")
    files = {"card.md": file_sha256(odd.directory / "card.md")}
    (odd.directory / "manifest.json").write_text(odd.manifest.model_copy(update={"files": files}).model_dump_json())
    assert load_bundle(odd.directory).card == "# caf\ufffd\n"
    plain = write_bundle(tmp_path / "plain", manifest())
    (plain.directory / "card.md").write_text("# not of its makers")
    assert load_bundle(plain.directory).card == ""


@pytest.mark.parametrize("name", ["model.onnx", "calibration.npz", "card.md"])
def test_one_changed_byte_is_noticed(directory, name):
    data = bytearray((directory / name).read_bytes())
    data[len(data) // 2] ^= 1
    (directory / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}: altered"):
        load_bundle(directory)


@pytest.mark.parametrize("name", ["model.onnx", "calibration.npz", "card.md"])
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        load_bundle(directory)


def test_a_link_out_of_the_bundle_is_refused(directory, tmp_path):
    (directory / "model.onnx").rename(tmp_path / "elsewhere")
    (directory / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"model\.onnx: missing"):
        load_bundle(directory)


@pytest.mark.parametrize("name", ["../../etc/passwd", "run.py", "/etc/passwd"])
def test_files_that_no_bundle_has_are_refused(directory, name):
    files = json.loads((directory / "manifest.json").read_text())["files"]
    edit_manifest(directory, files=files | {name: "0" * 64})
    with pytest.raises(BundleError, match="unexpected files"):
        load_bundle(directory)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "other"},
        {"id": "../up"},
        {"sample_rate_hz": 44100},
        {"segment_samples": 10**12},
        {"hop_samples": 0},
        {"representations": []},
        {"score_direction": "lower"},
        {"surprise": 1},
        {"segment_samples": "160000x"},
        {"files": ["model.onnx"]},
    ],
)
def test_an_altered_manifest_is_refused(directory, change):
    edit_manifest(directory, **change)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(directory)


@pytest.mark.parametrize("shape", [[], [0], [-1, 4], [70000, 70000], [1, 1, 1, 1, 1]])
def test_an_impossible_tensor_shape_is_refused(directory, shape):
    model = json.loads((directory / "manifest.json").read_text())["model"]
    model["outputs"][0]["shape"] = shape
    edit_manifest(directory, model=model)
    with pytest.raises(BundleError, match="shape"):
        load_bundle(directory)


def test_other_front_end_parameters_are_refused(directory):
    edit_manifest(directory, features=FEATURES | {"n_mels": 64})
    with pytest.raises(BundleError, match="front-end parameters do not match their digest"):
        load_bundle(directory)


def test_a_representation_the_model_does_not_give_is_refused(tmp_path):
    model = tmp_path / "model"
    model.write_bytes(b"")
    spec = RepresentationSpec(name="embedding", source="model", dim=128, backend="cosine")
    with pytest.raises(BundleError, match="no model output of 128 values"):
        write_bundle(tmp_path / "bundle", with_model(representations=(spec,)), model=model)


@given(data=st.binary(max_size=200))
def test_any_bytes_as_manifest_give_one_clear_error(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("any")
    (directory / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(directory)


def test_a_manifest_nested_to_the_sky_is_refused(directory):
    (directory / "manifest.json").write_text('{"training": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(directory)


def test_a_huge_manifest_is_not_read(directory, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(BundleError, match="larger than 100 bytes"):
        load_bundle(directory)


def test_a_calibration_with_a_pickle_is_not_unpickled(directory, tmp_path):
    witness = tmp_path / "unpickled"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (witness,))

    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([Bomb()], dtype=object))
    assert b"touch" in buffer.getvalue()
    replace_calibration(directory, buffer.getvalue())
    with pytest.raises(BundleError, match="calibration"):
        load_bundle(directory)
    assert not witness.exists()


def test_a_member_that_is_a_bare_pickle_is_refused(directory):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", pickle.dumps({"a": 1}))
    replace_calibration(directory, buffer.getvalue())
    with pytest.raises(BundleError, match="calibration"):
        load_bundle(directory)


def test_a_zip_bomb_is_refused_by_its_stated_size(directory, monkeypatch):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, zeros=np.zeros(1 << 20))
    assert len(buffer.getvalue()) < 1 << 14
    monkeypatch.setattr(bundles, "MAX_CALIBRATION_BYTES", 1 << 20)
    replace_calibration(directory, buffer.getvalue())
    with pytest.raises(BundleError, match="unpacks to more than"):
        load_bundle(directory)


def test_a_zip_that_lies_about_its_size_gives_an_error_and_no_flood(directory, monkeypatch):
    """The central directory says 1 KB, the stream holds 8 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.zeros(1 << 20))
    data = bytearray(buffer.getvalue())
    directory_entry = data.rfind(b"PK\x01\x02")
    data[directory_entry + 24 : directory_entry + 28] = (1024).to_bytes(4, "little")
    monkeypatch.setattr(bundles, "MAX_CALIBRATION_BYTES", 1 << 20)
    replace_calibration(directory, bytes(data))
    with pytest.raises(BundleError, match="calibration"):
        load_bundle(directory)


def test_an_array_that_claims_to_be_huge_is_refused(directory):
    """The header promises 2^50 values; nothing of that size may be allocated."""
    buffer, member = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", member.getvalue())
    replace_calibration(directory, buffer.getvalue())
    with pytest.raises(BundleError, match="calibration"):
        load_bundle(directory)


@given(cut=st.integers(0, 400))
def test_a_truncated_calibration_is_refused(tmp_path_factory, cut):
    target = tmp_path_factory.mktemp("cut") / "bundle"
    write_bundle(target, manifest(), calibration={"a": np.arange(20.0)})
    data = (target / "calibration.npz").read_bytes()
    replace_calibration(target, data[: min(cut, len(data) - 1)])
    with pytest.raises(BundleError, match="calibration"):
        load_bundle(target)


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
@settings(max_examples=300)
def test_any_forged_byte_of_a_calibration_is_read_or_refused(tmp_path_factory, position, value):
    target = tmp_path_factory.mktemp("forged") / "bundle"
    write_bundle(target, manifest(), calibration={"a": np.arange(20.0), "b": np.array(["word"])})
    data = bytearray((target / "calibration.npz").read_bytes())
    data[position % len(data)] = value
    replace_calibration(target, bytes(data))
    with contextlib.suppress(BundleError):
        load_bundle(target)


def test_every_kind_of_array_survives(tmp_path):
    arrays = {
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(2.5),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "words": np.array(["stop", "help"]),
    }
    read = write_bundle(tmp_path / "bundle", manifest(), calibration=arrays).calibration
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


@pytest.mark.parametrize("kind", ["anomaly", "keyword"])
def test_the_shipped_bundles_verify(kind):
    shipped = Path(bundles.__file__).parents[1] / "bundles" / kind
    if not shipped.is_dir():
        pytest.skip(f"no {kind} bundle in this checkout yet")
    bundle = load_bundle(shipped)
    assert bundle.manifest.kind == kind
    assert (shipped / "card.md").is_file()
