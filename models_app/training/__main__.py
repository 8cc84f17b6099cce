"""`python -m models_app.training CONFIG.json`: trains as configured, and writes one JSON event per line to standard
output. With a configuration of several ranks it starts those of this host, each of which is this command again.
`--load ENGINE` only loads an engine and prints its version.

Exit status: 0 done, 1 a fault of the trainer, 2 a mistake of the user, 3 stopped (SIGTERM, or nobody reads the
events any more), 4 another rank was lost.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path

from digits_project.common import resources
from digits_project.common.errors import RESUME, Aborted, BadInput, Failed, no_room
from digits_project.common.processes import die_with
from digits_project.common.resources import usable_cores
from models_app.training import engines
from models_app.training.config import TrainConfig
from models_app.training.process import DONE, FAULT, STOPPED, Events, StopSignal
from models_app.training.ranks.connecting import connect, launcher_of
from models_app.training.ranks.failures import LOST_RANK, failed
from models_app.training.ranks.rank import ALONE, RankLost, Ranks
from models_app.training.trainer import train

THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # of OpenMP in MXNet and PyTorch; of Intel's MKL
SMALLER = "smaller images or a crop_size, or a network with fewer weights; or give the worker more memory"

logger = logging.getLogger("trainer")


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.load:
        return _load(options.load)
    die_with(None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if ranks_to_start := launcher_of(options.config):
        return ranks_to_start()
    return _train(options.config, Events(), StopSignal())


def _train(path: Path, events: Events, stop: StopSignal) -> int:
    """Train, or be one rank of a training."""
    started, config, ranks = time.monotonic(), None, ALONE
    try:
        config = TrainConfig.from_file(path)
        ranks = connect(config)
        config = _settled(config, ranks)
        # Libraries count their threads when they are loaded, which happens once the engine is opened.
        os.environ |= dict.fromkeys(THREADS_OF_LIBRARIES, str(config.threads))
        best = train(config, events.emit, stop.check, ranks)
        if ranks.is_first:
            events.emit({"event": "done", "seconds": round(time.monotonic() - started, 2), "best_epoch": best})
    except Aborted as reason:
        logger.info("stopped: %s", reason)
        return STOPPED
    except Exception as error:  # noqa: BLE001 - _explained() logs it
        return failed(ranks, events, *_explained(ranks.explain(error), path.parent, config))
    return DONE


def _explained(error: Exception, directory: Path, config: TrainConfig | None) -> tuple[str, str]:
    """Who is to blame for the error that ended the training, and the message."""
    if isinstance(error, BadInput):
        return "user", str(error)
    if isinstance(error, RankLost):
        return LOST_RANK, str(error)
    if isinstance(error, Failed):
        logger.error("the training can't run on this host", exc_info=error)
        return "host", str(error)
    if explanation := no_room(error, directory, RESUME):
        return "host", explanation
    if resources.is_want_of_memory(error):
        logger.error("the training ran out of memory", exc_info=error)
        return "user", resources.explain(error, "The training", _remedy(config))
    logger.error("the training failed", exc_info=error)
    return "server", f"{type(error).__name__}: {error}"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models_app.training", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("config", type=Path, nargs="?", help="the file that TrainConfig.to_json wrote")
    what.add_argument("--load", metavar="ENGINE", help="load an engine, and print its version")
    return parser.parse_args(arguments)


def _load(name: str) -> int:
    try:
        print(engines.load(name))
    except Failed as broken:
        print(broken, file=sys.stderr)
        return FAULT
    return DONE


def _settled(config: TrainConfig, ranks: Ranks) -> TrainConfig:
    """The configuration of this rank: its device, a random seed and a number of threads, chosen here if it has none."""
    seed = secrets.randbits(32) if config.random_seed is None else config.random_seed
    return replace(
        config.settled(ranks.agree(seed), config.threads or _threads(ranks)), devices=ranks.own_devices(config.devices)
    )


def _threads(ranks: Ranks) -> int:
    """The number of threads of this process: its share of the usable cores, or fewer if OMP_NUM_THREADS says so."""
    share, wanted = max(1, usable_cores() // ranks.count_here), os.environ.get(THREADS_OF_LIBRARIES[0], "")
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share


def _remedy(config: TrainConfig | None) -> str:
    size = f" than {config.batch_size}" if config else ""
    return f"Take a smaller batch_size{size} (batch_accumulation makes up for it), {SMALLER}."


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # At once, because the engine's own cleanup saves nothing and takes long.
    logging.shutdown()
    os._exit(code)
