"""`python -m models_app.training CONFIG.json`: trains as configured, and writes one JSON event per line to standard
output.

Exit status: 0 done, 1 a fault of the trainer, 2 a mistake of the user, 3 stopped (SIGTERM, or nobody reads the
events any more).
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
import time
from pathlib import Path

from digits_project.common import resources
from digits_project.common.errors import RESUME, Aborted, BadInput, no_room
from digits_project.common.processes import die_with
from digits_project.common.resources import usable_cores
from models_app.training.config import TrainConfig
from models_app.training.process import DONE, FAULT, STOPPED, USERS_FAULT, Events, StopSignal
from models_app.training.trainer import train

SMALLER = "smaller images or a crop_size, or a network with fewer weights; or give the worker more memory"

logger = logging.getLogger("trainer")


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    die_with(options.parent, status=STOPPED)
    events, stop = Events(), StopSignal()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    started, config = time.monotonic(), None
    try:
        config = _settled(TrainConfig.from_file(options.config))
        # MXNet counts its threads when it is loaded, which happens once the engine is opened.
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        best = train(config, events.emit, stop.check)
        events.emit({"event": "done", "seconds": round(time.monotonic() - started, 2), "best_epoch": best})
    except Aborted as reason:
        logger.info("stopped: %s", reason)
        return STOPPED
    except BadInput as error:
        return _failed(events, "user", str(error))
    except Exception as error:
        if explanation := no_room(error, options.config.parent, RESUME):
            return _failed(events, "host", explanation)
        if resources.is_want_of_memory(error):
            logger.exception("the training ran out of memory")
            return _failed(events, "user", resources.explain(error, "The training", _remedy(config)))
        logger.exception("the training failed")
        return _failed(events, "server", f"{type(error).__name__}: {error}")
    return DONE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models_app.training", description=__doc__)
    parser.add_argument("config", type=Path, help="the file that TrainConfig.to_json wrote")
    parser.add_argument("--parent", type=int, help="process id of the parent: end at once if it is not the parent")
    return parser.parse_args(arguments)


def _settled(config: TrainConfig) -> TrainConfig:
    """The configuration with a random seed and a number of threads, chosen here if it has none."""
    seed = secrets.randbits(32) if config.random_seed is None else config.random_seed
    return config.settled(seed, config.threads or usable_cores())


def _remedy(config: TrainConfig | None) -> str:
    size = f" than {config.batch_size}" if config else ""
    return f"Take a smaller batch_size{size} (batch_accumulation makes up for it), {SMALLER}."


def _failed(events: Events, blame: str, message: str) -> int:
    try:
        events.emit({"event": "error", "blame": blame, "message": message})
    except Aborted:
        return STOPPED
    return USERS_FAULT if blame == "user" else FAULT


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # At once, because the engine's own cleanup saves nothing and takes long.
    logging.shutdown()
    os._exit(code)
