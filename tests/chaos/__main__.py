"""`python -m tests.chaos --faults 200 --seed 1`: random faults at random moments against a whole server under load.

Prints a line for each fault and a summary; the exit status is 1 if an invariant was violated. A seed gives the same
faults in the same order; their effects depend on the moment.
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
from tests.chaos.invariants import broken_invariants
from tests.chaos.target import Server, wait_for
from tests.chaos.work import RESPONSE_ERRORS, Work
from tests.support.services import temporary_home

RECOVERY_SECONDS = 20.0  # seconds within which all invariants have to hold again
SLOW_SECONDS = 4.0  # seconds; a slower recovery is printed with the last broken invariant
END_SECONDS = 300  # seconds for all jobs to end after the last fault
DISK = "640m"
PAUSE_SECONDS = 2.0  # the longest before a fault
PAUSE_WITH_RANKS = 30.0  # the same with ranks of PyTorch, which train only after seconds of imports


class Chaos:
    """A server, its jobs, the faults so far and the violations of invariants."""

    def __init__(self, home: Path, small_disk: bool, ranks: int = 1):
        self.small_disk = small_disk
        self.longest_pause = PAUSE_SECONDS if ranks == 1 else PAUSE_WITH_RANKS
        self.server = Server(home, home / "jobs", ranks)
        self.work = Work(self.server)
        self.violations: list[str] = []
        self.count = collections.Counter()
        self.slowest = 0.0

    def start_again(self, why: str) -> str:
        if not wait_for(lambda: not self.server.of_this_home(), RECOVERY_SECONDS):
            remaining = [process.cmdline() for process in self.server.of_this_home()]
            self.violate(f"after {why} these processes remain: {remaining}")
        self.server.start()
        return f"{why}, started again"

    def violate(self, what: str) -> None:
        self.violations.append(what)
        print(f"    VIOLATION: {what}", flush=True)

    def inject(self, number: int, seed: int) -> bool:
        """Inject a fault and wait for the recovery; return whether the fault found something to hit."""
        rng = random.Random(f"{seed}-{number}")
        name = rng.choice(sorted(self.names))
        time.sleep(rng.uniform(0, self.longest_pause))
        try:
            done = faults.ALL[name](self, rng)
        except RESPONSE_ERRORS as error:
            done = f"{name} found the server unreachable: {error}"
        if done is None:
            return False
        self.count[name] += 1
        if rng.random() < 0.2:  # the next fault comes without a recovery
            print(f"{number:4} {done}; the next fault at once", flush=True)
            return True
        started = time.monotonic()
        recovered, last = self._wait_until_recovered()
        duration = time.monotonic() - started
        reason = last if duration > SLOW_SECONDS else ""
        print(f"{number:4} {done}; recovered after {duration:.1f} s{reason}", flush=True)
        self.slowest = max(self.slowest, duration)
        if not recovered:
            self.violate(f"{RECOVERY_SECONDS:g} s after {done}{last}")
        self.work.refill()
        self.report_broken()
        return True

    def _wait_until_recovered(self) -> tuple[bool, str]:
        """Return whether all invariants held again in time, and which was broken last."""
        last = [""]

        def all_hold() -> bool:
            if found := broken_invariants(self.server, self.work):
                last[0] = f" ({'; '.join(found)})"
            return not found

        return bool(wait_for(all_hold, RECOVERY_SECONDS)), last[0]

    def report_broken(self) -> None:
        for broken in self.work.broken:
            self.violate(broken)
        self.work.broken.clear()

    def finish(self) -> None:
        """Wait for every job to end without faults, then stop the server and check that no process remains."""
        print("no more faults; waiting for every job to end", flush=True)

        def all_ended() -> bool:
            if not self.work.unfinished():
                self.work.check_ended()  # which can resume some
            return not self.work.unfinished()

        if not wait_for(all_ended, END_SECONDS):
            self.violate(f"not ended: {self.work.unfinished()}; {broken_invariants(self.server, self.work)}")
        self.report_broken()
        self.server.stop()
        if remaining := self.server.of_this_home():
            self.violate(f"after the end these processes remain: {[process.cmdline() for process in remaining]}")

    def summary(self) -> str:
        kinds = "\n".join(f"  {count:4} {name}" for name, count in sorted(self.count.items()))
        ended = ", ".join(f"{count} {name}" for name, count in sorted(self.work.ended.items()))
        errors = "".join(f"  {error}\n" for error in self.work.errors)
        return (
            f"{self.count.total()} faults:\n{kinds}\njobs that ended: {ended}\n{errors}"
            f"slowest recovery {self.slowest:.1f} s\n{len(self.violations)} violations"
        )


def main() -> int:
    options = _options()
    chaos = None
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(contextlib.nullcontext(options.keep) if options.keep else temporary_home())
        small_disk = _mount(home / "jobs", stack)
        chaos = Chaos(home, small_disk, options.ranks)
        chaos.names = options.only or list(faults.ALL)
        chaos.server.start()
        try:
            chaos.work.begin()
            chaos.work.refill()
            _attack(chaos, options)
            chaos.finish()
        finally:
            chaos.server.kill(everything=True)
    print(chaos.summary())
    for violation in chaos.violations:
        print("VIOLATION:", violation)
    return 1 if chaos.violations else 0


def _attack(chaos: Chaos, options) -> None:
    number, injected, deadline = 0, 0, time.monotonic() + options.minutes * 60
    while injected < options.faults and time.monotonic() < deadline:
        number += 1
        injected += chaos.inject(number, options.seed)


def _mount(jobs: Path, stack: contextlib.ExitStack) -> bool:
    """Mount a small disk for the jobs; return whether this user could. Without it the disk is never filled."""
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
    parser.add_argument("--minutes", type=float, default=60, help="stop after this time, with any number of faults")
    parser.add_argument("--only", action="append", choices=sorted(faults.ALL), help="only this fault; can be repeated")
    parser.add_argument("--ranks", type=int, default=1, help="train with so many ranks of PyTorch on the CPU")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which is kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
