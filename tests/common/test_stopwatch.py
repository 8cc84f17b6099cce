"""The stopwatch of the tests itself."""

import os
import subprocess
import sys
import time

import pytest

from tests.support.stopwatch import Stopwatch


@pytest.mark.slow
def test_the_stopwatch_leaves_out_what_other_processes_take():
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(4 * len(os.sched_getaffinity(0)))]
    try:
        began = time.perf_counter()
        with Stopwatch() as watch:
            worked = time.process_time()
            while time.process_time() < worked + 0.5:
                pass
        took = time.perf_counter() - began
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert watch.seconds < 0.75 * took
