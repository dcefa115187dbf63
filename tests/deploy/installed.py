"""edged on a machine under test: its configuration, and what can be asked of it."""

import json

# the daemon keeps the microphone's place with a file that never ends
CONFIG = """
devices: {hall: {source: file, path: /var/lib/edged/hum.wav, loop: true}}
streams: {press-3: {device: hall, channel: 0, monitors: [anomaly, keyword]}}
"""
# of the unit, only the waiting is shortened
QUICK = """
[Service]
WatchdogSec=4
TimeoutAbortSec=2
TimeoutStartSec=40
RestartSec=1
"""
CONFIG_FILE, STATE = "/etc/edged/edged.yaml", "/var/lib/edged"
COMPILE = "edged-compile.service"


def set_up(machine, sounds):
    """A configuration, something to hear, and references, made as an operator would, by root."""
    machine.call("install", "-o", "edged", f"/shared/{sounds.name}/0.wav", f"{STATE}/hum.wav")
    machine.write(CONFIG_FILE, CONFIG)
    machine.write("/etc/systemd/system/edged.service.d/quick.conf", QUICK)
    machine.call("systemctl", "daemon-reload")
    machine.call("edged", "enroll", "--clips", f"/shared/{sounds.name}", "--stream", "press-3")


def status(machine):
    return json.loads(machine.call("edged", "status", "--json"))


def processes(machine):
    """Processes of the daemon's user; there is no pgrep on a minimal Debian."""
    user = machine.run("id", "-u", "edged").stdout.strip()
    return machine.call("find", "/proc", "-mindepth", "1", "-maxdepth", "1", "-uid", user).split() if user else []


def runs_anew(machine, pid):
    """Whether the daemon is ready, and another process than this one."""
    shown = machine.call("systemctl", "show", "--property=ActiveState,MainPID", "edged.service")
    facts = dict(line.split("=") for line in shown.splitlines())
    return facts["ActiveState"] == "active" and facts["MainPID"] not in {"0", pid}


def bank_of(machine):
    return machine.call("edged", "references", "show", "--stream", "press-3")


def hears_and_scores(machine):
    def counts():
        return status(machine)["streams"]["press-3"]["samples"]["keyword"]

    before = counts()["scored"]
    machine.wait_until(lambda: counts()["scored"] > before)
    return counts()["lost"] == 0
