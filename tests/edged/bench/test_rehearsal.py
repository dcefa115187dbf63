"""A real daemon of the bench, in real time."""

import pytest

from edged.bench.rehearsal import RehearsalError, rehearse
from edged.bench.site import make_site
from edged.config import Config
from edged.runtime.lock import daemon_holds

STREAMS = {"press": {"device": "mic", "monitors": ["anomaly"]}, "hall": {"device": "mic", "monitors": ["anomaly"]}}


@pytest.fixture
def site(tmp_path):
    (tmp_path / "bench").mkdir()
    devices = {"mic": {"source": "microphone"}}
    config = Config.model_validate({"state_dir": str(tmp_path / "none"), "devices": devices, "streams": STREAMS})
    return make_site(config, tmp_path / "bench")


def test_what_a_daemon_uses_is_seen(site):
    seen = rehearse(site.config, site.directory, 12.0, 6.0)
    assert seen.streams == 2
    assert seen.seconds >= 6.0
    assert 0 < seen.daemon_load < 2
    assert 0 < seen.children_load < 1
    assert seen.daemon.resident > seen.child.private > 1
    assert 0 < seen.done < 3  # what waited before comes in too
    assert seen.delays_s or seen.done < 0.9  # a computer that has no time for it gives none
    assert all(delay_s > 0 for delay_s in seen.delays_s)
    assert seen.lost_samples == 0
    assert not daemon_holds(site.config.state_path)  # it was ended


def test_a_daemon_that_does_not_start_is_an_error_with_its_reason(site):
    broken = site.config.model_copy(update={"runtime_dir": site.directory / "frames" / "x"})
    (site.directory / "frames").write_text("in the way", encoding="utf-8")
    with pytest.raises(RehearsalError, match="does not start"):
        rehearse(broken, site.directory, 0.0, 1.0)
