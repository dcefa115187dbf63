"""Talking to `journal_victim`."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class Victim:
    """A publisher in another process."""

    def __init__(self, state_dir, socket, *arguments, preload=None, low_space_mib=0):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "SOCKET": str(socket),
                       "LOW_SPACE_MIB": str(low_space_mib)}  # fmt: skip
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        command = [sys.executable, "-m", "tests.faults.journal_victim", str(state_dir), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, cwd=REPOSITORY,
        )  # fmt: skip
        self.process.stdout.readline()  # "ready", or nothing where it could not start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def ask(self, line):
        """The answer, or None: it is dead."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            return None
        return json.loads(answer) if answer else None

    def alarms(self, numbers):
        for number in numbers:
            self.ask(f"alarm {number}")

    def end(self):
        """Orderly; the exit code."""
        with contextlib.suppress(BrokenPipeError):
            if not self.process.stdin.closed:
                self.process.stdin.write("stop\n")
                self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.end()
