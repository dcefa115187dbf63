"""ONNX Runtime as the daemon uses it."""

import os
import subprocess
import sys


def test_the_runtime_keeps_no_identifier_of_the_device_and_reports_nothing(tmp_path):
    code = "from edged.cli.main import app; app(['bundle', 'verify', 'keyword'], standalone_mode=False)"
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120, capture_output=True)
    assert list(tmp_path.iterdir()) == []
