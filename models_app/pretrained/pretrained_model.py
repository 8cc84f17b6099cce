"""The row of a pretrained model."""

from pathlib import Path
from typing import Any

from django.db import models

from digits_project.jobs.models import ENDED, Job
from models_app.networks import MAX_NETWORK_NAME
from models_app.search.search_job import Search


class PretrainedModel(Job):
    """A network with weights, kept under the names of its layers in its folder. It is Done as soon as it is there."""

    QUEUE = "io"
    TASK = ""  # it never waits, so no worker runs one
    ROUTE = "pretrained_models"
    TYPE = "Pretrained Model"
    IN_INDEX = False
    WEIGHTS = "weights.npz"

    standard_network = models.CharField(max_length=MAX_NETWORK_NAME, blank=True, help_text="Empty: another network.")
    network = models.JSONField(default=dict, editable=False)  # Network.to_dict
    categories = models.PositiveIntegerField(default=0, help_text="How many categories the network gives scores to.")
    labels = models.JSONField(default=list, blank=True, help_text="The names of the categories, if they are known.")
    source = models.CharField(max_length=300, blank=True, help_text="What it was made from.")
    taken_over = models.JSONField(default=list, editable=False)  # layers whose weights the file had
    afresh = models.JSONField(default=list, editable=False)  # layers that have no weights
    warnings = models.JSONField(default=list, editable=False)

    class Meta(Job.Meta):
        verbose_name = "pretrained model"

    @property
    def weights_file(self) -> Path:
        return self.directory / self.WEIGHTS

    @property
    def network_name(self) -> str:
        """The standard network's name, else the name that the prototxt gives the network; it can be empty."""
        return self.standard_network or str(self.network.get("name", ""))

    def columns(self) -> dict[str, Any]:
        """The columns of a model that starts from it: copies, because this row can be deleted."""
        network, categories = self.network, self.categories or None
        return {
            "standard_network": self.standard_network,
            "previous_network": network,
            "previous_categories": categories,
        }

    def dependents(self) -> list[Job]:
        """The models that have yet to read their initial weights from it, and the searches that will create some."""
        return [*self.successors.exclude(status__in=ENDED), *Search.users_of("pretrained", self)]
