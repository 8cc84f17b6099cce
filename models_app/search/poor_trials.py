"""Stops the training of a trial that is worse than the others."""

import logging
from typing import Any

from digits_project.common.errors import Aborted, Failed
from digits_project.jobs.models import Status
from models_app.search.ranges import MIN_DONE
from models_app.search.search_job import MEDIAN, Search
from models_app.search.trials import optimizer, trials_of

log = logging.getLogger(__name__)


def end_if_poor(model: Any, epoch: float) -> None:
    """Raise Aborted, whose text becomes the row's, if the trial's validations up to this epoch are poor.

    A trial that was stopped so and resumed by its owner goes on to its end.
    """
    search: Search | None = model.search
    if search is None or search.search_pruner != MEDIAN or model.pruned_epoch is not None:
        return
    if search.trials.filter(status=Status.DONE).count() < MIN_DONE:
        return
    trials, validations = trials_of(search), round(model.train_epochs / model.val_interval)
    try:
        if not optimizer().is_poor(list(trials.values()), trials[model.pk], validations):
            return
    except Failed as missing:
        log.warning("%s is not compared with other trials: %s", model, missing)
        return
    type(model).objects.filter(pk=model.pk).update(pruned_epoch=epoch)
    raise Aborted(
        f"Its search stopped it at epoch {epoch:g}, because its validation was worse than the median of the other "
        "trials at that epoch. Resume it to train it to its end."
    )
