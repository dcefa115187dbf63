"""Freed memory is kept: measured by the faults that filling an array anew takes."""

import subprocess
import sys

COUNT = """
import resource, sys
import numpy as np
from edged.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    print(keep_freed_memory(), end=" ")
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    arrays = [np.ones(100_000, np.float32) for _ in range(8)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how):
    done = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True)
    *can, faults = done.stdout.split()
    return can, int(faults)


def test_freed_memory_is_not_fetched_from_the_kernel_again():
    can, kept = page_faults("kept")
    _, usual = page_faults("usual")
    assert can == ["True"]
    assert kept < 4000, f"{kept} page faults"  # 8 arrays of 98 pages are fetched once
    assert usual > 10 * kept, f"{usual} page faults where nothing is said, {kept} where it is to be kept"
