"""Reports the error that ends a training, also one with several ranks."""

from __future__ import annotations

from digits_project.common.errors import Aborted
from models_app.training.process import FAULT, LOST, STOPPED, USERS_FAULT, Events
from models_app.training.ranks.rank import Ranks

LOST_RANK = "rank"  # the blame in the event of an error: a rank ended, and the training can continue without it
STATUSES = {"user": USERS_FAULT, LOST_RANK: LOST}


def failed(ranks: Ranks, events: Events, blame: str, message: str) -> int:
    """Emit the event of an error; returns the exit status.

    A rank that ends because of another one has nothing to report. Rank 0 then emits the other rank's error, which can
    be on another host.
    """
    event = {"event": "error", "blame": blame, "message": message}
    if blame == LOST_RANK:
        event = (ranks.passed_on() if ranks.is_first else None) or event
    elif not ranks.is_first:
        ranks.pass_on(event)
    if ranks.is_first or blame != LOST_RANK:
        try:
            events.emit(event)
        except Aborted:
            return STOPPED
    return STATUSES.get(event["blame"], FAULT)
