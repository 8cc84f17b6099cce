"""What a trained model is, with the snapshots and metrics that its training leaves."""

from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery

from datasets.models import Dataset, Kind
from digits_project.errors import BadInput
from digits_project.jobs.models import Job, Status
from models_app import networks
from models_app.networks import STANDARD, Network
from models_app.training import engines
from models_app.training.config import MEANS, SOLVERS
from models_app.training.schedule import POLICIES, Policy

MOST_EPOCHS = 100_000
MOST_IMAGES_A_BATCH = 100_000
POSITIVE = MinValueValidator(1)
NOT_NEGATIVE = [MinValueValidator(0.0)]


def _choices(names) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


class TrainedModel(Job):
    """A network and how it is trained on a dataset. The columns are named as in the form (API.md)."""

    QUEUE = "train"
    TASK = "models_app.tasks.train_model"
    KIND = "models"
    TYPE = "Image Classification Model"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="trained_models")
    standard_network = models.CharField(max_length=40, choices=_choices(STANDARD))
    framework = models.CharField(max_length=20, choices=_choices(engines.MODULES), default="mxnet")
    train_epochs = models.PositiveIntegerField(default=30, validators=[POSITIVE, MaxValueValidator(MOST_EPOCHS)])
    snapshot_interval = models.FloatField(default=1, validators=NOT_NEGATIVE, help_text="Epochs; 0: only at the end.")
    val_interval = models.FloatField(default=1, validators=NOT_NEGATIVE, help_text="Epochs; 0: never.")
    batch_size = models.PositiveIntegerField(validators=[POSITIVE, MaxValueValidator(MOST_IMAGES_A_BATCH)])
    random_seed = models.PositiveIntegerField(null=True, blank=True)
    solver_type = models.CharField(max_length=10, choices=_choices(SOLVERS), default="SGD")
    learning_rate = models.FloatField(default=Policy.learning_rate)
    lr_policy = models.CharField(max_length=10, choices=_choices(POLICIES), default=Policy.lr_policy)
    lr_parameters = models.JSONField(default=dict, blank=True)  # of the policy: schedule.Policy's fields
    use_mean = models.CharField(max_length=5, choices=_choices(MEANS), default="image")

    class Meta(Job.Meta):
        verbose_name = "model"

    @classmethod
    def ready(cls) -> QuerySet:
        return super().ready().filter(dataset__status=Status.DONE)

    @classmethod
    def doomed(cls) -> list[tuple[Job, str]]:
        lost = cls.objects.filter(status=Status.WAITING, dataset__status__in=(Status.ABORTED, Status.ERROR))
        return [(model, f"Its dataset {_fate(model.dataset)}") for model in lost.select_related("dataset")]

    @classmethod
    def runs_on(cls, gpu) -> bool:
        return engines.runs_on(gpu.compute_capability)

    def clean(self):
        """Besides each column by itself: a dataset to train on, a network that fits its images, a policy that makes
        sense."""
        if self.dataset.status in (Status.ABORTED, Status.ERROR):
            raise ValidationError({"dataset": f"Its status is {self.dataset.status}; take one that will be Done."})
        if self.dataset.kind != Kind.CLASSIFICATION:
            raise ValidationError({"dataset": "It is a generic dataset; a classifier needs one for classification."})
        for field, check in (("standard_network", self.network), ("lr_policy", self.policy)):
            try:
                check()
            except BadInput as wrong:
                raise ValidationError({field: str(wrong)}) from wrong

    def network(self) -> Network:
        """The network that it trains. Raises BadInput where that does not fit the dataset's images.

        Until the dataset is Done its number of categories is not known; two stand in, which is enough to check all but
        the last layer's width.
        """
        categories = len(self.dataset.categories) or 2
        return networks.standard(self.standard_network, self.dataset.image_shape, categories)

    def policy(self) -> Policy:
        """How the learning rate falls. Raises BadInput."""
        return Policy(learning_rate=self.learning_rate, lr_policy=self.lr_policy, **self.lr_parameters)

    def ranked_snapshots(self) -> QuerySet:
        """The snapshots with their validation `accuracy` and `loss`, the best first.

        By accuracy, then by loss, then the later one; a snapshot that was not validated comes last.
        """
        validation = Metric.objects.filter(
            trained_model=OuterRef("trained_model"), split=Metric.Split.VAL, epoch=OuterRef("epoch")
        )
        measured = self.snapshots.annotate(
            accuracy=Subquery(validation.values("accuracy")[:1]), loss=Subquery(validation.values("loss")[:1])
        )
        best_first = models.F("accuracy").desc(nulls_last=True), models.F("loss").asc(nulls_last=True)
        return measured.order_by(*best_first, "-epoch")

    @property
    def best_snapshot(self) -> "Snapshot | None":
        return self.ranked_snapshots().first()

    @property
    def newest_snapshot(self) -> "Snapshot | None":
        return self.snapshots.order_by("-epoch").first()


class Snapshot(models.Model):
    """The weights of a model at one moment of its training, ready to classify with."""

    trained_model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="snapshots")
    epoch = models.FloatField()
    folder = models.CharField(max_length=255)  # within the model's directory
    max_difference = models.FloatField(null=True, help_text="Between the engine's and ONNX Runtime's answers.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trained_model", "epoch"], name="snapshot_once")]
        ordering = ["trained_model", "epoch"]

    def __str__(self):
        return f"epoch {self.epoch:g} of {self.trained_model_id}"

    @property
    def directory(self) -> Path:
        return self.trained_model.directory / self.folder

    @property
    def onnx_file(self) -> Path:
        return self.directory / "model.onnx"


class Metric(models.Model):
    """One measurement of a training: the mean over the images since the one before (train), or over the split (val)."""

    class Split(models.TextChoices):
        TRAIN = "train"
        VAL = "val"

    trained_model = models.ForeignKey(TrainedModel, on_delete=models.CASCADE, related_name="metrics")
    split = models.CharField(max_length=5, choices=Split)
    epoch = models.FloatField()
    loss = models.FloatField()
    accuracy = models.FloatField(null=True, help_text="0 to 1")
    learning_rate = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["trained_model", "split", "epoch"], name="metric_curve")]
        ordering = ["trained_model", "split", "epoch"]

    def __str__(self):
        return f"{self.split} at epoch {self.epoch:g} of {self.trained_model_id}"


def _fate(dataset: Dataset) -> str:
    if dataset.status == Status.ABORTED:
        return f"{dataset.name} ({dataset.pk}) was aborted."
    return f"{dataset.name} ({dataset.pk}) failed: {dataset.error}"
