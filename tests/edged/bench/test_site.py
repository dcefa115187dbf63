"""A place to measure in: the configuration's own references where there are some, and nothing written beside."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from edged.assembly import Assembly
from edged.bench import site as site_module
from edged.bench.site import MICROPHONE_RATE_HZ, make_site, shipped
from edged.compile.engines import ENGINES
from edged.config import Config
from edged.configfile import load_config
from edged.references.clips import ANOMALY_CLIPS, clip_of_samples
from edged.references.enroll import enroll_domain
from edged.references.store import BankStore
from edged.references.terms import Terms
from edged.state import DATABASE_NAME
from tests.fakes.sounds import machine


@pytest.fixture
def settings(tmp_path):
    sf.write(tmp_path / "kept.wav", np.zeros((4410, 3), np.float32), 44_100)
    return {
        "state_dir": str(tmp_path / "state"),
        "devices": {
            "mic": {"source": "microphone", "channels": 2}, "pipe": {"source": "pcm", "path": "/nowhere/fifo"},
            "file": {"source": "file", "path": str(tmp_path / "kept.wav")},
            "gone": {"source": "file", "path": "/nowhere/x.wav"},
        },
        "streams": {
            "press": {"device": "mic", "channel": 1, "monitors": {"anomaly": {"threshold": 3.0}}},
            "hall": {"device": "mic", "monitors": ["anomaly"], },
            "line": {"device": "pipe", "monitors": ["anomaly"]},
            "tape": {"device": "file", "channel": 2, "monitors": ["anomaly"]},
            "lost": {"device": "gone", "channel": 1, "monitors": ["anomaly"]},
        },
    }  # fmt: skip


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "bench").mkdir()
    return tmp_path / "bench"


def enrol(config, stream, n_clips):
    clips = [clip_of_samples(f"{seed}", machine(10, seed), ANOMALY_CLIPS) for seed in range(n_clips)]
    with BankStore(config.state_path) as store:
        enroll_domain(Assembly(config), store, stream, clips, terms=Terms(force=True))


def bank_of(config, stream):
    with BankStore(config.state_path) as store:
        return Assembly(config).bank(store, stream, "anomaly")


def test_devices_become_files_of_their_shape(settings, directory):
    site = make_site(Config.model_validate(settings), directory)
    shapes = {}
    for name, device in site.config.devices.items():
        with sf.SoundFile(device.path) as audio:
            shapes[name] = audio.samplerate, audio.channels
    assert shapes == {
        "mic": (MICROPHONE_RATE_HZ, 2), "pipe": (16_000, 1), "file": (44_100, 3), "gone": (MICROPHONE_RATE_HZ, 2)
    }  # fmt: skip
    assert all(spec.loop and spec.speed == 1.0 for spec in site.source_of.values())
    assert site.streams_of("mic") == ["press", "hall"]
    assert list(site.part(["mic"]).streams) == ["press", "hall"]


def test_references_are_the_configurations_own(settings, directory):
    real = Config.model_validate(settings)
    enrol(real, "press", 5)
    database = real.state_path / DATABASE_NAME
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    site = make_site(real, directory)
    assert site.stand_ins == ("hall/anomaly", "line/anomaly", "tape/anomaly", "lost/anomaly")
    np.testing.assert_array_equal(
        bank_of(site.config, "press").scorer.normal_scores, bank_of(real, "press").scorer.normal_scores
    )
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert bank_of(site.config, "hall").version == bank_of(site.config, "tape").version == 1


def test_the_log_of_a_killed_daemon_is_read_and_left_as_it_is(settings, directory, tmp_path):
    """It was written into the database, and ended."""
    real = Config.model_validate(settings)
    with BankStore(real.state_path):
        enrol(real, "press", 3)
        shutil.copytree(real.state_path, tmp_path / "killed")
    killed = real.model_copy(update={"state_dir": tmp_path / "killed"})
    before = {path.name: path.read_bytes() for path in killed.state_path.iterdir() if not path.name.endswith("-shm")}
    assert "press/anomaly" not in make_site(killed, directory).stand_ins
    after = {path.name: path.read_bytes() for path in killed.state_path.iterdir() if not path.name.endswith("-shm")}
    assert after == before
    assert f"{DATABASE_NAME}-wal" in after


def test_a_state_that_may_not_be_looked_into_is_told_of(settings, directory, monkeypatch):
    """A user who may not enter the daemon's directory got a traceback instead of figures."""
    real, is_file = Config.model_validate(settings), Path.is_file

    def refused(path, **options):
        if path.parent == real.state_path:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path, **options)

    monkeypatch.setattr(Path, "is_file", refused)
    site = make_site(real, directory)
    assert len(site.stand_ins) == 5
    assert "press: anomaly references" in site.notes[0]
    assert "sudo edged bench" in site.notes[0]


def test_no_state_is_made_where_there_was_none(settings, directory):
    real = Config.model_validate(settings)
    assert len(make_site(real, directory).stand_ins) == 5
    assert not real.state_path.exists()


def test_references_that_cannot_be_used_are_told_of(settings, directory):
    real = Config.model_validate(settings)
    enrol(real, "press", 3)
    with BankStore(real.state_path) as store:
        stored = store.load_active("press", "anomaly")
        facts = {**stored.facts, "bundle_digest": "another", "vectors_digest": "another"}
        store.commit("press", "anomaly", facts, stored.arrays, reason="of another bundle", based_on=1)
    site = make_site(real, directory)
    assert "press/anomaly" in site.stand_ins
    assert len(site.notes) == 1
    assert "press: anomaly references" in site.notes[0]
    assert bank_of(site.config, "press").clips[0].name == "pump-0"


def test_the_benchs_daemon_touches_nothing_of_the_real_one(settings, directory):
    settings |= {
        "runtime_dir": "/run/edged", "events": {"bind": "tcp://127.0.0.1:5555", "heartbeat_s": 3.0},
        "metrics": {"enabled": True}, "clips": {"keyword": True},
    }  # fmt: skip
    config = make_site(Config.model_validate(settings), directory).config
    assert config.runtime_path == config.state_path == directory / "state"
    assert config.events_endpoint.startswith(f"ipc://{directory}")
    assert config.control_endpoint.startswith(f"ipc://{directory}")
    assert [config.metrics.enabled, config.clips.keyword, config.clips.anomaly] == [False, False, False]
    assert config.events.heartbeat_s == 3.0
    assert config.streams["press"].monitors.anomaly.threshold == 3.0


def test_engines_are_taken_along(settings, directory):
    real = Config.model_validate(settings)
    (real.state_path / ENGINES / "keyword-00").mkdir(parents=True)
    (real.state_path / ENGINES / "keyword-00" / "engine.json").write_text("{}")
    site = make_site(real, directory)
    assert (site.config.state_path / ENGINES / "keyword-00" / "engine.json").read_text() == "{}"


def test_engines_that_cannot_be_read_are_told_of(settings, directory, monkeypatch):
    real = Config.model_validate(settings)
    (real.state_path / ENGINES).mkdir(parents=True)

    def refuse(*_):
        raise PermissionError(13, "no")

    monkeypatch.setattr(site_module.shutil, "copytree", refuse)
    assert any("sudo edged bench" in note for note in make_site(real, directory).notes)


def test_without_a_configuration_both_bundles_are_measured(tmp_path):
    config = shipped()
    monitors = {name: one.monitors for name, one in config.streams.items()}
    assert monitors["anomaly"].anomaly
    assert not monitors["anomaly"].keyword
    assert monitors["both"].anomaly
    assert monitors["both"].keyword
    assert not monitors["keyword"].anomaly
    path = tmp_path / "as-file.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    assert load_config(path) == config
