"""What suffers the faults: a process that has everything imported, and forks for every point.

Reads one job per line: {"state", "operation", "arguments", "mode", "n"}; answers {"outcome", "calls", "error"}, where
`calls` has a sign for each call: "+" may need room on the disk, "-" does not.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import edged.embed.onnx  # noqa: F401 - what a job would import lazily, once and before the fork
from edged.assembly import Assembly
from edged.config import Config
from edged.errors import EdgedError
from edged.references.enroll import enroll_paths
from edged.references.feedback import give_feedback
from edged.references.refit import refit_stream
from edged.references.store import BankStore
from edged.references.transfer import import_bank


def library():
    faults = ctypes.CDLL(os.environ["LD_PRELOAD"])
    faults.fault_kinds.restype = ctypes.c_char_p
    return faults


def operate(state, operation, arguments):
    config = Config.model_validate({**arguments["config"], "state_dir": state})
    assembly, stream = Assembly(config), "press"
    with BankStore(Path(state)) as store:
        if operation == "enroll":
            enroll_paths(assembly, store, stream, [Path(arguments["clips"])], domain="night")
        elif operation == "rollback":
            store.rollback(stream, "anomaly")
        elif operation == "remove":
            store.remove(stream, "anomaly")
        elif operation == "two steps":  # what no command does: the test that a half-done change is seen
            store.remove(stream, "anomaly")
            store.rollback(stream, "anomaly", 1)
        elif operation == "refit":
            refit_stream(assembly, store, stream)
        elif operation == "import":
            import_bank(assembly, store, Path(state), stream, Path(arguments["archive"]))
        else:
            give_feedback(assembly, store, arguments["event"], operation.removeprefix("feedback "), force=True)


def suffer(faults, job, answer_fd):
    outcome, error = "done", ""
    faults.fault_arm(job["state"].encode(), job["mode"], ctypes.c_long(job["n"]))
    try:
        operate(job["state"], job["operation"], job["arguments"])
    except EdgedError as refusal:
        outcome, error = "refused", str(refusal)
    except BaseException as crash:  # noqa: BLE001 - whatever it is, the test wants to see it
        outcome, error = "crashed", f"{type(crash).__name__}: {crash}"
    calls = faults.fault_kinds().decode()
    os.write(answer_fd, json.dumps({"outcome": outcome, "calls": calls, "error": error}).encode())
    os._exit(0)


def main():
    faults = library()
    for line in sys.stdin:
        read_fd, write_fd = os.pipe()
        child = os.fork()
        if child == 0:
            suffer(faults, json.loads(line), write_fd)
        os.close(write_fd)
        with os.fdopen(read_fd) as answers:
            answer = answers.read()
        os.waitpid(child, 0)
        print(answer or json.dumps({"outcome": "killed", "calls": "", "error": ""}), flush=True)


if __name__ == "__main__":
    main()
