"""The inputs of this computer, asked for in a child so that PortAudio never enters the caller."""

from __future__ import annotations

import json
import subprocess

from edged.capture.source import InputDevice
from edged.capture.spawn import LIST_DEVICES, child_command, child_environment
from edged.errors import DeviceError

_LIST_TIMEOUT_S = 30.0


def list_inputs() -> list[InputDevice]:
    """All inputs.

    Raises:
        DeviceError: if PortAudio or its binding is missing, or does not answer.
    """
    try:
        done = subprocess.run(
            child_command(LIST_DEVICES),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            timeout=_LIST_TIMEOUT_S,
            check=False,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise DeviceError("the sound system does not answer", fix="try arecord -l") from error
    if "error" in answer:
        raise DeviceError(answer["error"], fix=answer["fix"])
    return [InputDevice(**device) for device in answer["devices"]]
