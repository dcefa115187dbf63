"""The engine store: found or refused, replaced whole, never half."""

import json

import pytest

from edged.compile.engines import EngineRecord, EngineStore, Hardware
from edged.compile.hardware import l4t_release, this_hardware
from edged.errors import AcceleratorError
from tests.fakes.accelerator import accelerator
from tests.fakes.tensorrt import VERSIONS

ORIN = Hardware("10.3.0", 12060, "Orin", "8.7", "R36.4.3")


@pytest.fixture
def store(tmp_path):
    return EngineStore(tmp_path)


def record(bundle, **changes):
    values = {
        "network": bundle.vectors_digest, "source": "ab" * 32, "precision": "fp16", "typing": "strong",
        "profile": (1, 4, 32), "hardware": ORIN, "settings": {"workspace_mib": 512},
    }  # fmt: skip
    return EngineRecord(**(values | changes))


def test_what_is_installed_is_found(store, keyword_bundle):
    assert store.record(keyword_bundle) is None
    installed = store.install(keyword_bundle, record(keyword_bundle), b"plan")
    assert store.record(keyword_bundle) == installed
    assert store.plan(keyword_bundle, installed) == b"plan"


def test_the_one_before_goes_when_the_new_one_is_there(store, keyword_bundle):
    store.install(keyword_bundle, record(keyword_bundle), b"old")
    store.install(keyword_bundle, record(keyword_bundle), b"new")
    assert len(list(store.place(keyword_bundle).glob("*.plan"))) == 1
    assert store.plan(keyword_bundle, store.record(keyword_bundle)) == b"new"


@pytest.mark.parametrize("failing", [0, 1])
def test_the_old_engine_stands_if_there_is_no_room(store, keyword_bundle, monkeypatch, failing):
    from edged.compile import engines

    store.install(keyword_bundle, record(keyword_bundle), b"old")
    real, calls = engines.write_durably, []

    def full(path, data, mode=0o640):
        calls.append(path)
        if len(calls) > failing:
            raise OSError(28, "No space left on device")
        real(path, data, mode)

    monkeypatch.setattr(engines, "write_durably", full)
    with pytest.raises(AcceleratorError, match="No space left"):
        store.install(keyword_bundle, record(keyword_bundle), b"new")
    assert store.plan(keyword_bundle, store.record(keyword_bundle)) == b"old"


def test_an_altered_plan_is_refused(store, keyword_bundle):
    installed = store.install(keyword_bundle, record(keyword_bundle), b"plan")
    next(store.place(keyword_bundle).glob("*.plan")).write_bytes(b"other")
    with pytest.raises(AcceleratorError, match="altered"):
        store.plan(keyword_bundle, installed)


def test_a_missing_plan_is_refused(store, keyword_bundle):
    installed = store.install(keyword_bundle, record(keyword_bundle), b"plan")
    next(store.place(keyword_bundle).glob("*.plan")).unlink()
    with pytest.raises(AcceleratorError, match="No such file"):
        store.plan(keyword_bundle, installed)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', "x" * 70_000, '{"plan_sha256": "../../etc/passwd"}', "\udcff"],
)  # fmt: skip
def test_a_damaged_record_is_refused(store, keyword_bundle, text):
    store.install(keyword_bundle, record(keyword_bundle), b"plan")
    (store.place(keyword_bundle) / "engine.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(AcceleratorError):
        store.record(keyword_bundle)


def test_a_path_in_place_of_a_digest_is_refused(store, keyword_bundle):
    store.install(keyword_bundle, record(keyword_bundle), b"plan")
    path = store.place(keyword_bundle) / "engine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"plan_sha256": "../../../etc/passwd"}))
    with pytest.raises(AcceleratorError):
        store.record(keyword_bundle)


def test_links_are_not_followed(store, keyword_bundle, tmp_path):
    installed = store.install(keyword_bundle, record(keyword_bundle), b"plan")
    plan = next(store.place(keyword_bundle).glob("*.plan"))
    plan.rename(tmp_path / "elsewhere")
    plan.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AcceleratorError):
        store.plan(keyword_bundle, installed)


def test_another_network_s_record_is_refused(store, keyword_bundle):
    store.install(keyword_bundle, record(keyword_bundle, network="0" * 64), b"plan")
    with pytest.raises(AcceleratorError, match="another network"):
        store.record(keyword_bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "cd" * 32}, {"precision": "fp32"}, {"typing": "weak"}, {"profile": (1, 4, 64)}, {"settings": {}},
        {"hardware": Hardware("10.4.0", 12060, "Orin", "8.7", "R36.4.3")},
        {"hardware": Hardware("10.3.0", 12080, "Orin", "8.7", "R36.4.3")},
        {"hardware": Hardware("10.3.0", 12060, "Orin Nano", "8.7", "R36.4.3")},
        {"hardware": Hardware("10.3.0", 12060, "Orin", "8.9", "R36.4.3")},
        {"hardware": Hardware("10.3.0", 12060, "Orin", "8.7", "R36.4.4")},
    ],
)  # fmt: skip
def test_whatever_the_builder_depends_on_is_in_the_fingerprint(keyword_bundle, change):
    assert record(keyword_bundle).fingerprint != record(keyword_bundle, **change).fingerprint


def test_when_it_was_built_and_how_well_is_not(keyword_bundle):
    other = record(keyword_bundle, built_at="2026-01-01", parity={"least_cosine": 1.0}, plan_sha256="0" * 64)
    assert record(keyword_bundle).fingerprint == other.fingerprint


def test_the_timing_cache_is_the_device_s_own(store):
    store.keep_timing_cache(ORIN, b"measured")
    assert store.timing_cache(ORIN) == b"measured"
    assert store.timing_cache(Hardware("10.3.0", 12060, "Thor", "11.0")) == b""


def test_timing_caches_of_other_hardware_go(store):
    # one was left behind by every upgrade of driver, TensorRT and system
    store.keep_timing_cache(ORIN, b"old")
    store.keep_timing_cache(Hardware("10.4.0", 12060, "Orin", "8.7"), b"new")
    assert len(list(store.directory.glob("timing-*"))) == 1
    assert store.timing_cache(ORIN) == b""


def test_what_was_refused_is_remembered_by_this_version_alone(store, keyword_bundle, monkeypatch):
    fp16, fp32 = record(keyword_bundle), record(keyword_bundle, precision="fp32")
    assert store.refusal(keyword_bundle, fp16) == ""
    store.note_refusal(keyword_bundle, fp16, "not alike")
    store.install(keyword_bundle, fp32, b"plan")
    assert (store.refusal(keyword_bundle, fp16), store.refusal(keyword_bundle, fp32)) == ("not alike", "")
    monkeypatch.setattr("edged.compile.engines.__version__", "99")
    assert store.refusal(keyword_bundle, fp16) == ""


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": {"reason": 1}}', b"\xff", b" " * 70_000])
def test_damaged_refusals_are_none(store, keyword_bundle, damage):
    store.note_refusal(keyword_bundle, record(keyword_bundle), "not alike")
    (store.place(keyword_bundle) / "refused.json").write_bytes(damage)
    assert store.refusal(keyword_bundle, record(keyword_bundle)) == ""


def test_refusals_are_bounded(store, keyword_bundle):
    for number in range(40):
        store.note_refusal(keyword_bundle, record(keyword_bundle, settings={"number": number}), "x" * 10_000)
    assert store.refusal(keyword_bundle, record(keyword_bundle, settings={"number": 39}))
    assert not store.refusal(keyword_bundle, record(keyword_bundle, settings={"number": 0}))


def test_engines_of_networks_that_are_not_used_go(store, keyword_bundle, tmp_path):
    store.install(keyword_bundle, record(keyword_bundle), b"plan")
    (store.directory / ("anomaly-" + "0" * 16)).mkdir()
    (store.directory / "somebody-elses").mkdir()
    (tmp_path / "precious").mkdir()
    (store.directory / ("keyword-" + "1" * 16)).symlink_to(tmp_path / "precious")
    assert store.remove_others([keyword_bundle]) == ["anomaly-" + "0" * 16]
    assert store.record(keyword_bundle)
    assert (store.directory / "somebody-elses").is_dir()
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_hardware_is_read(version):
    with accelerator(version) as (gpu, _):
        assert this_hardware() == Hardware(version, 12060, "Orin", "8.7", l4t_release())
        assert gpu.open_contexts == 0


def test_without_tensorrt_the_hardware_is_refused(monkeypatch):
    import sys

    for name in ("tensorrt", "edged.embed.tensorrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(AcceleratorError, match="cannot be loaded"):
        this_hardware()


def test_l4t_is_empty_where_there_is_none(tmp_path):
    assert l4t_release(tmp_path / "nothing") == ""
    (tmp_path / "empty").write_text("")
    assert l4t_release(tmp_path / "empty") == ""
