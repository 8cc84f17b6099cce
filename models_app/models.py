"""The trained model. Its snapshots, metrics and evaluations are in results.py."""

import math
import shutil
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import QuerySet

from datasets import needed
from datasets.imagedb.images.resize import MAX_SIDE
from datasets.models import Dataset
from digits_project.common.errors import BadInput
from digits_project.jobs.models import ENDED, DeviceRequest, Job, Status
from digits_project.jobs.scheduling.job_engine import JobEngine
from models_app import choices, kinds, model_checks, networks
from models_app.choices import MAX_GPUS, NetworkMethod, engine_names, frameworks, standard_networks  # noqa: F401
from models_app.hyperparameter_columns import RATE_COLUMNS, FilledInByRecipe, HyperparameterColumns
from models_app.model_snapshots import HasSnapshots
from models_app.networks import Network, prototxt
from models_app.networks.pretrained import packaged
from models_app.networks.retrain import prepared_as, retrained
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import ComputedBy, Evaluation, Snapshot  # noqa: F401 - callers import the rows of a model here
from models_app.search.search_job import Search, TrialColumns
from models_app.sizes import input_sizes
from models_app.training import engines
from models_app.training.class_weights import balanced
from models_app.training.learning_rate import LearningRatePolicy

POSITIVE = MinValueValidator(1)
lr_policies, solver_types = choices.lr_policies, choices.solver_types  # the migrations name them here


class TrainedModel(HasSnapshots, FilledInByRecipe, TrialColumns, ComputedBy, Job):
    """A network and its training on a dataset. Columns have the names of the form's fields."""

    QUEUE, ROUTE = "train", "models"
    TASK, JOIN_TASK = "models_app.tasks.train_model", "models_app.tasks.join_training"
    MILESTONE = "a new snapshot"
    REQUESTS = ("stop_requested_at",)
    RESET_BY_RESUME = {**Job.RESET_BY_RESUME, "stop_requested_at": None}
    PATHS = ("custom_network_snapshot",)
    WANTED = ("select_gpus", "select_gpu_count", "engine", "usable_engines", "status_history")  # for device_request()

    is_imported = False  # set by import_digits: the model has snapshots already
    network_is_checked = False  # of models that differ only in numbers, one is checked for all

    kind = models.CharField(
        max_length=kinds.MAX_NAME, choices=kinds.kind_choices, default=kinds.CLASSIFICATION, editable=False
    )
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="trained_models")

    # Its network.
    method = models.CharField(max_length=10, choices=NetworkMethod, default=NetworkMethod.STANDARD)
    standard_network = models.CharField(max_length=networks.MAX_NETWORK_NAME, blank=True)
    custom_network = models.TextField(blank=True)
    custom_network_snapshot = models.CharField(
        max_length=4096, blank=True, help_text="The weights that the training starts from."
    )
    previous = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="successors", editable=False
    )
    previous_epoch = models.FloatField(
        null=True, blank=True, help_text="The epoch of the previous model's snapshot; empty: random weights."
    )
    pretrained = models.ForeignKey(
        PretrainedModel, on_delete=models.SET_NULL, null=True, blank=True, related_name="successors", editable=False
    )
    # Copies of the network (Network.to_dict) and its number of categories; the previous or pretrained model can go.
    previous_network = models.JSONField(null=True, blank=True, editable=False)
    previous_categories = models.PositiveIntegerField(null=True, blank=True, editable=False)
    packaged_weights = models.CharField(
        max_length=packaged.MAX_NAME,
        blank=True,
        help_text="The name of installed weights that the training starts from.",
    )
    crop_size = models.PositiveIntegerField(null=True, blank=True, validators=[POSITIVE])
    input_size = models.PositiveIntegerField(null=True, blank=True, validators=[POSITIVE, MaxValueValidator(MAX_SIDE)])

    # Its training.
    framework = models.CharField(max_length=20, choices=frameworks, default="mxnet")
    engine = models.CharField(
        max_length=20, choices=engine_names, default=engines.AUTO, help_text="auto: the first engine that can train it."
    )
    # Set when it is created: the names of the engines that can train its network, the preferred one first.
    usable_engines = models.JSONField(default=list, blank=True, editable=False)
    hyperparameters = HyperparameterColumns()  # the columns train_epochs, batch_size, solver_type …
    # The types of those that code names, for mypy; they are declared in training/hyperparameters.py.
    use_mean: str
    head_epochs: float
    val_interval: float
    early_stop_patience: int
    balance_classes: bool
    feature_views: int | None
    batch_size: int
    learning_rate: float
    lr_policy: str
    lr_parameters: dict[str, Any]
    select_gpus = models.JSONField(default=list, blank=True, help_text="The numbers of the GPUs to train on.")
    select_gpu_count = models.PositiveSmallIntegerField(
        default=1, validators=[POSITIVE, MaxValueValidator(MAX_GPUS)], help_text="How many GPUs, any free ones."
    )

    # The results.
    taken_over = models.JSONField(default=list, editable=False)  # layers that took weights from a file or snapshot
    afresh = models.JSONField(default=list, editable=False)  # with those: layers that started with random weights
    warnings = models.JSONField(default=list, editable=False)
    resumed_from = models.FloatField(
        default=0, editable=False, help_text="The fraction that was done when the training last started: 0 to 1."
    )
    stopped_epoch = models.FloatField(
        null=True,
        editable=False,
        help_text="The epoch at which the training ended early, by early_stop_patience or on request.",
    )
    stop_requested_at = models.DateTimeField(
        null=True, editable=False, help_text="When a user asked to end the training early and keep its best snapshot."
    )
    # What it takes while it runs: {"images_per_second": …, "cores": …, "memory": …, "devices": [{"device": "gpu0",
    # "load": …, "memory_used": …, "memory": …}]}
    device_use = models.JSONField(default=dict, editable=False)

    class Meta(Job.Meta):
        verbose_name = "model"

    @classmethod
    def ready(cls) -> QuerySet:
        return super().ready().filter(dataset__status=Status.DONE)

    @classmethod
    def queued(cls) -> QuerySet:
        columns = (*cls.LISTED, *cls.WANTED, *(f"dataset__{column}" for column in cls.LISTED))
        return super().queued().select_related("dataset").only(*columns)

    @classmethod
    def unrunnable(cls) -> list[tuple[Job, str]]:
        return needed.lost(cls.objects.all())

    @classmethod
    def engines(cls) -> Sequence[JobEngine]:
        return engines.declared()

    @classmethod
    def installed_weights(cls) -> Sequence[str]:
        return packaged.installed_here()

    @property
    def TYPE(self) -> str:
        return self.declared_kind.label

    @property
    def declared_kind(self) -> kinds.ModelKind:
        """The registered kind of this row."""
        return kinds.KINDS[self.kind]

    def waits_for(self) -> str:
        return needed.awaited(self.dataset)

    def device_request(self) -> DeviceRequest:
        usable = tuple(self.usable_engines) or engines.candidates(self.engine)
        weights = (self.packaged_weights,) if self.packaged_weights else ()
        spanning = engines.spanning(usable)
        return DeviceRequest(tuple(self.select_gpus), self.select_gpu_count, usable, weights, spanning, self.has_run)

    def clean(self):
        """Check the columns together: the dataset, a network that fits its images, a valid policy. A new row gets the
        input_size that follows from its weights."""
        if self._state.adding and self.input_size is None:
            self.input_size = input_sizes.usual(self)
        if wrong := model_checks.wrong_columns(self):
            raise ValidationError(wrong)

    def network(self) -> Network:
        """The network that the model trains. Raises BadInput if it does not fit the dataset's images.

        Before the dataset is Done, its number of categories is unknown; 2 is used, which is enough to check all but the
        last layer's width. The shapes of a generic dataset are unknown too; then the network is not checked.
        """
        known, label_shape = self.dataset.shapes_are_known, tuple(self.dataset.label_shape)
        image_shape, crop_size = input_sizes.of_network(self)
        if self.standard_network:
            network = networks.standard(self.standard_network, image_shape, self.categories, crop_size)
            return prepared_as(self.previous_network, network) if self.previous_network else network
        has_categories = self.declared_kind.has_categories
        if self.method == NetworkMethod.CUSTOM:
            categories = self.categories if has_categories else None
            network = prototxt.read(self.custom_network, image_shape, categories, label_shape, crop_size, checked=known)
            if known:
                network.check_trainable(*(["train", "val"] if self.val_interval else ["train"]))
            return network
        if self.previous_network is None:
            raise BadInput("It has no network of a previous model.")
        previous, before = Network.from_dict(self.previous_network), self.previous_categories or self.categories
        changed = (before, self.categories) if has_categories else None
        return retrained(previous, image_shape, label_shape, changed, crop_size) if known else previous

    @property
    def categories(self) -> int:
        return len(self.dataset.categories) or 2

    def category_weights(self) -> tuple[float, ...] | None:
        """The class weights for balance_classes, once the dataset is Done; None without it."""
        if not self.balance_classes:
            return None
        return balanced(next(split["per_category"] for split in self.dataset.splits if split["name"] == "train"))

    @property
    def starts_from_weights(self) -> bool:
        # Not by the pretrained model's row, which can be deleted after the training.
        given = self.custom_network_snapshot or self.method == NetworkMethod.PRETRAINED
        return self.is_imported or self.previous_epoch is not None or bool(given)

    @property
    def network_name(self) -> str:
        """The name of its network: of a published one, or of the network that another model has; else the method."""
        return self.standard_network or (self.previous_network or {}).get("name", "") or self.method

    @property
    def pretrained_networks(self) -> str:
        """The choice of method=pretrained: a job id, or the name of installed weights; "" if there is none."""
        return self.pretrained_id or self.packaged_weights

    def initial_weights(self) -> str | None:
        """The source of the initial weights, as starting_weights() takes it; None: random weights.

        Raises BadInput if the snapshot was deleted.
        """
        if self.packaged_weights:
            return packaged.PREFIX + self.packaged_weights
        if self.method == NetworkMethod.PRETRAINED:
            if self.pretrained is None:
                raise BadInput("The pretrained model that it starts from was deleted.")
            return str(self.pretrained.weights_file)
        if self.previous_epoch is None:
            return self.custom_network_snapshot or None
        snapshot = self.previous.snapshot_at(self.previous_epoch) if self.previous else None
        if snapshot is None:
            raise BadInput(f"The snapshot that it starts from, of epoch {self.previous_epoch:g}, was deleted.")
        return str(snapshot.directory)

    def milestones(self, after: int = 0) -> Sequence[str]:
        """The validations with their accuracies; without validations the epochs that are done."""
        last = f"of {self.train_epochs:g}"
        if self.val_interval:
            measured = self.metrics.filter(split="val").order_by("epoch").values_list("epoch", "accuracy", "loss")
            return [
                f"epoch {epoch:g} {last}, {f'loss {loss:.4f}' if right is None else f'accuracy {100 * right:.1f} %'}"
                for epoch, right, loss in measured[after:]
            ]
        newest = self.metrics.filter(split="train").order_by("-epoch").first()
        return [f"epoch {epoch} {last}" for epoch in range(after + 1, math.floor(newest.epoch if newest else 0) + 1)]

    def clear_away(self) -> None:
        for half in self.directory.glob("snapshots/.partial-*"):
            shutil.rmtree(half, ignore_errors=True)

    def dependents(self) -> list[Job]:
        """The models that have yet to read initial weights from a snapshot of it, or searches for such models."""
        waiting = self.successors.exclude(status__in=ENDED).exclude(previous_epoch=None)
        return [*waiting, *Search.users_of("previous", self)]

    def parts(self) -> list[Job]:
        return list(self.evaluations.defer(*Evaluation.LARGE))

    def policy(self) -> LearningRatePolicy:
        """The learning rate policy. Raises BadInput."""
        columns = {name: getattr(self, name) for name in RATE_COLUMNS}
        return LearningRatePolicy(**columns, **self.lr_parameters)
