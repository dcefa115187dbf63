"""The page of a real daemon: everything that is declared is on it, and it agrees with the books."""

import urllib.request

import soundfile
from prometheus_client.parser import text_string_to_metric_families

from edged.observe.page import FROM_STATUS
from tests.integration.broker import free_port
from tests.integration.helpers import RATE_HZ, hum, receive_until


def page_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return {family.name: family.samples for family in text_string_to_metric_families(answer.read().decode())}


def test_a_real_daemons_page_is_complete(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "day.wav", hum(8, fault=True), RATE_HZ)
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "loop": True, "speed": 4.0})
    plant.enroll("press", normal_clips)
    port = free_port()
    plant.settings["metrics"] = {"enabled": True, "port": port}
    with plant.daemon() as process, plant.client(process), plant.subscriber(("anomaly.",)) as listener:
        receive_until(listener, lambda event: event["kind"] == "onset")
        page = page_of(port)
    assert all(page.get(name) for name in FROM_STATUS)
    fates = {sample.labels["fate"]: sample.value for sample in page["edged_samples"]}
    assert fates["received"] == fates["scored"] + fates["dropped"] + fates["pending"]
    (onsets,) = [s.value for s in page["edged_alarms"] if s.labels.get("kind") == "onset" and s.name.endswith("total")]
    assert onsets >= 1
    assert page["edged_anomaly_score"][0].value > page["edged_anomaly_threshold"][0].value
    stages = {sample.labels["stage"] for sample in page["edged_stage_seconds"]}
    assert stages == {"features", "embed", "score"}
