"""`python -m tests.chaos --faults 200 --seed 1`: random faults at random moments against a whole, working server.

One line a fault, a summary, exit status 1 if anything did not hold. A seed gives the same faults in the same order;
what they hit depends on the moment.
"""

import argparse
import collections
import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.chaos import faults
from tests.chaos.invariants import complaints
from tests.chaos.server import Server, patiently
from tests.chaos.work import GONE, Work
from tests.support.services import temporary_home

SOON = 20.0  # seconds until all is well again
TELL = 4.0  # seconds; what took longer is told with what it waited for
END_SECONDS = 300  # for all jobs to end, once nothing is done to them any more
DISK = "640m"


class Chaos:
    """A server, its work, and what was done to them."""

    def __init__(self, home: Path, small_disk: bool):
        self.small_disk = small_disk
        self.server = Server(home, home / "jobs")
        self.work = Work(self.server)
        self.violations: list[str] = []
        self.count = collections.Counter()
        self.slowest = 0.0

    def start_again(self, why: str) -> str:
        if not patiently(lambda: not self.server.of_this_home(), SOON):
            self.violate(f"after {why} there are left: {[p.cmdline() for p in self.server.of_this_home()]}")
        self.server.start()
        return f"{why}, started again"

    def violate(self, what: str) -> None:
        self.violations.append(what)
        print(f"    VIOLATION: {what}", flush=True)

    def one(self, number: int, seed: int) -> bool:
        """One fault, and until all is well again; whether there was one."""
        rng = random.Random(f"{seed}-{number}")
        name = rng.choice(sorted(self.names))
        time.sleep(rng.uniform(0, 2))
        try:
            done = faults.ALL[name](self, rng)
        except GONE as away:
            done = f"{name} met a server that is away: {away}"
        if done is None:
            return False
        self.count[name] += 1
        if rng.random() < 0.2:  # and the next one at once
            print(f"{number:4} {done}; the next at once", flush=True)
            return True
        began = time.monotonic()
        well, last = self._wait_until_well()
        took = time.monotonic() - began
        print(f"{number:4} {done}; well again after {took:.1f} s{last if took > TELL else ''}", flush=True)
        self.slowest = max(self.slowest, took)
        if not well:
            self.violate(f"{SOON:g} s after {done}{last}")
        self.work.keep()
        self.tell_broken()
        return True

    def _wait_until_well(self) -> tuple[bool, str]:
        """Whether all was well soon, and what was the last thing that was not."""
        last = [""]

        def well() -> bool:
            if found := complaints(self.server, self.work):
                last[0] = f" ({'; '.join(found)})"
            return not found

        return bool(patiently(well, SOON)), last[0]

    def tell_broken(self) -> None:
        for broken in self.work.broken:
            self.violate(broken)
        self.work.broken.clear()

    def finish(self) -> None:
        """Every job comes to its end without a hand on it; then nothing is left of the server either."""
        print("no more faults; every job is to end", flush=True)
        if not patiently(lambda: not self.work.unfinished(), END_SECONDS):
            self.violate(f"not ended: {self.work.unfinished()}; {complaints(self.server, self.work)}")
        patiently(lambda: self.work.harvest() or True, 60)
        self.tell_broken()
        self.server.stop()
        if left := self.server.of_this_home():
            self.violate(f"after the end there are left: {[process.cmdline() for process in left]}")

    def summary(self) -> str:
        kinds = "\n".join(f"  {count:4} {name}" for name, count in sorted(self.count.items()))
        ended = ", ".join(f"{count} {name}" for name, count in sorted(self.work.ended.items()))
        return (
            f"{self.count.total()} faults:\n{kinds}\njobs that ended: {ended}\n"
            f"slowest recovery {self.slowest:.1f} s\n{len(self.violations)} violations"
        )


def main() -> int:
    options = _options()
    chaos = None
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(contextlib.nullcontext(options.keep) if options.keep else temporary_home())
        small_disk = _mount(home / "jobs", stack)
        chaos = Chaos(home, small_disk)
        chaos.names = options.only or list(faults.ALL)
        chaos.server.start()
        try:
            chaos.work.begin()
            chaos.work.keep()
            _attack(chaos, options)
            chaos.finish()
        finally:
            chaos.server.kill(everything=True)
    print(chaos.summary())
    for violation in chaos.violations:
        print("VIOLATION:", violation)
    return 1 if chaos.violations else 0


def _attack(chaos: Chaos, options) -> None:
    number, made, deadline = 0, 0, time.monotonic() + options.minutes * 60
    while made < options.faults and time.monotonic() < deadline:
        number += 1
        made += chaos.one(number, options.seed)


def _mount(jobs: Path, stack: contextlib.ExitStack) -> bool:
    """A small disk for the jobs, where this user may mount one; without, the disk is never full."""
    jobs.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return False
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", jobs], capture_output=True).returncode:
        return False
    stack.callback(subprocess.run, ["umount", "-l", jobs], check=False)
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long, however many there were")
    parser.add_argument("--only", action="append", choices=sorted(faults.ALL), help="this fault only; may be repeated")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
