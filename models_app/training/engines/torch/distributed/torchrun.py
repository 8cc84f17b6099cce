"""Starts the ranks of this host with torchrun, which watches them: if one ends early, it stops the others."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import parse_args, run

from digits_project.common.resources import usable_cores
from models_app.training.config import TrainConfig
from models_app.training.engines.torch.distributed.process_group import STORE_FILE, connect, is_rank
from models_app.training.process import DONE, FAULT, LOST, STOPPED, USERS_FAULT, Events
from models_app.training.pythons.launcher import trainer_command
from models_app.training.ranks.failures import LOST_RANK, failed
from models_app.training.ranks.rank import ALONE
from models_app.training.ranks.rendezvous import Rendezvous

SHUTDOWN_SECONDS = 2  # from the signal that stops a rank to SIGKILL

__all__ = ["connect", "is_rank", "launch"]


def launch(path: Path, config: TrainConfig) -> int:
    """Run one rank for each device of the configuration that lies at `path`, and wait for them. Returns an exit
    status. The ranks die with this process."""
    meeting = config.meeting or Rendezvous()
    threads = config.threads or max(1, usable_cores() // len(config.devices))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # torchrun would set 1
    command = trainer_command(sys.executable, str(path))[1:]
    where = _on_one_host() if meeting.hosts == 1 else _on_several_hosts(meeting)
    try:
        run(parse_args([*_options(meeting, len(config.devices)), *where, *command]))
    except SignalException:
        return STOPPED
    except ChildFailedError as error:
        return _report(error)
    except DistError as error:
        return failed(ALONE, Events(), LOST_RANK, _missing(meeting, error))
    return DONE


def _on_one_host() -> list[str]:
    """Let the ranks meet in an unnamed file, so that no other host can reach them, and nothing stays behind."""
    meeting_point = f"/proc/{os.getpid()}/fd/{os.memfd_create('ranks')}"
    os.environ[STORE_FILE] = f"/proc/{os.getpid()}/fd/{os.memfd_create('ranks')}"
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # which would listen at a port
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    return ["--rdzv-backend=c10d", f"--rdzv-endpoint={meeting_point}", "--rdzv-conf=store_type=file"]


def _on_several_hosts(meeting: Rendezvous) -> list[str]:
    where = {"node-rank": meeting.host, "master-addr": meeting.address, "master-port": meeting.port}
    wait = f"--rdzv-conf=timeout={round(meeting.timeout)}"
    return [wait, *(f"--{name}={value}" for name, value in where.items())]


def _options(meeting: Rendezvous, ranks: int) -> list[str]:
    options = {
        "nnodes": meeting.hosts,
        "nproc-per-node": ranks,
        "max-restarts": 0,
        "shutdown-timeout": SHUTDOWN_SECONDS,
        "log-dir": os.devnull,  # else a folder that stays in /tmp after a SIGKILL
        "rdzv-id": meeting.identity,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _report(error: ChildFailedError) -> int:
    """Report the rank that ended first, unless it has reported its error by itself. Those that ended because of it come
    last."""
    number, first = min(
        error.failures.items(), key=lambda failure: (failure[1].exitcode in (LOST, STOPPED), failure[1].timestamp)
    )
    if first.exitcode in (FAULT, USERS_FAULT):
        return first.exitcode
    return failed(ALONE, Events(), LOST_RANK, f"Rank {number} of the training {_end(first)}.")


def _end(failure: ProcessFailure) -> str:
    if failure.exitcode < 0:
        return f"was killed by {signal.Signals(-failure.exitcode).name}; out of memory is the usual reason"
    if failure.exitcode in (LOST, STOPPED):
        return "ended because another rank had ended"
    return f"ended with exit status {failure.exitcode}"


def _missing(meeting: Rendezvous, error: DistError) -> str:
    """Why the hosts did not meet."""
    where = f"{meeting.address}, port {meeting.port}"
    if meeting.host:
        return f"The first host of this training did not listen at {where} within {meeting.timeout:g} s ({error})."
    return (
        f"The ranks of the other hosts did not come to {where} within {meeting.timeout:g} s (DIGITS_RANK_TIMEOUT). "
        f"Check that their train workers run, and that they reach this host ({error})."
    )
