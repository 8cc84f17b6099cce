"""The results of a training: snapshots, metrics and evaluations."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeGuard

from django.db import models
from django.db.models import Case, F, Func, OuterRef, Subquery, When, Window
from django.db.models.expressions import OrderBy
from django.db.models.functions import RowNumber
from django.urls import reverse

from digits_project.common.escaping import END, csv_line
from digits_project.jobs.models import Job, Status
from models_app.training.snapshots.snapshot_reader import FILES

# Instead of an epoch: the newest snapshot, as DIGITS's clients name it, and the best one.
NEWEST, BEST = -1, "best"
NAMES_OF_NEWEST = ("latest", "newest")
Which: TypeAlias = float | str | None  # an epoch, NEWEST, BEST, or None; see chosen()
SAME_EPOCH = 1e-4  # epochs that differ by less are equal, because clients round them
CSV_COLUMNS = ("trained_model_id", "split", "epoch", "iteration", "loss", "accuracy", "learning_rate")
CSV_HEADER = ("model", *CSV_COLUMNS[1:])


class ComputedBy(models.Model):
    """The columns of a training about what computes it, as its trainer reports."""

    engine_used = models.CharField(max_length=100, blank=True, editable=False, help_text="The engine and its version.")
    devices_used = models.CharField(max_length=255, blank=True, editable=False, help_text="Such as gpu0, gpu1.")
    precision_used = models.CharField(max_length=10, blank=True, editable=False, help_text="Such as fp32 or bf16.")
    images_per_second = models.FloatField(
        null=True, editable=False, help_text="How many images the training computed in a second, on average."
    )

    class Meta:
        abstract = True

    def computed_by(self) -> dict[str, str | float]:
        """What is known of these columns."""
        known = {name: getattr(self, name) for name in ("engine_used", "devices_used", "precision_used")}
        speed = {} if self.images_per_second is None else {"images_per_second": round(self.images_per_second, 1)}
        return {name: value for name, value in known.items() if value} | speed


def of_epoch(rows: models.QuerySet, epoch: float, column: str = "epoch") -> models.QuerySet:
    """The rows of this epoch."""
    return rows.filter(**{f"{column}__range": (epoch - SAME_EPOCH, epoch + SAME_EPOCH)})


def which_snapshot(text: str) -> Which:
    """The snapshot that a user names: an epoch, -1 or latest, best, or (empty) the one that answers. Raises
    ValueError."""
    name = text.strip().lower()
    if name in NAMES_OF_NEWEST:
        return NEWEST
    return name if name == BEST else float(name) if name else None


def is_epoch(which: Which) -> TypeGuard[float]:
    """Whether it is the number of an epoch."""
    return isinstance(which, (int, float)) and which != NEWEST


def is_due(epoch: float, interval: float) -> bool:
    """Whether a training with a snapshot every `interval` epochs takes one at this epoch."""
    return bool(interval) and abs(epoch - interval * round(epoch / interval)) < SAME_EPOCH


def chosen(snapshots: models.QuerySet, which: Which = None) -> models.QuerySet:
    """The snapshots of one model with the chosen one first; none if there is no such snapshot. No other code decides.

    `which` is an epoch, NEWEST, or BEST: the highest accuracy in validation, then the lowest loss, then the later; a
    snapshot without a validation comes last. None is the snapshot that answers if none is named: the best once the
    model is Done, else the newest.
    """
    if which == NEWEST:
        return snapshots.order_by("-epoch")
    if is_epoch(which):
        return of_epoch(snapshots, which)

    def rank(measure: str) -> Case | F:
        """The measure; null if the model has to be Done for the best to count, and isn't."""
        return F(measure) if which == BEST else Case(When(trained_model__status=Status.DONE, then=F(measure)))

    best_first = OrderBy(rank("accuracy"), descending=True, nulls_last=True), OrderBy(rank("loss"), nulls_last=True)
    return validated(snapshots).order_by(*best_first, "-epoch")


def validated(snapshots: models.QuerySet) -> models.QuerySet:
    """The snapshots with the `accuracy` and `loss` of their validation; null without one."""
    validation = Metric.objects.filter(
        trained_model=OuterRef("trained_model"), split=Metric.Split.VAL, epoch=OuterRef("epoch")
    )
    return snapshots.annotate(
        accuracy=Subquery(validation.values("accuracy")[:1]), loss=Subquery(validation.values("loss")[:1])
    )


class Snapshot(models.Model):
    """The weights of a model at one point of its training, ready for inference."""

    trained_model = models.ForeignKey("TrainedModel", on_delete=models.CASCADE, related_name="snapshots")
    epoch = models.FloatField()
    iteration = models.PositiveIntegerField(default=0, help_text="Batches trained up to the snapshot.")
    folder = models.CharField(max_length=255)  # within the model's directory
    max_difference = models.FloatField(
        null=True, help_text="The largest difference between the outputs of the engine and of ONNX Runtime."
    )
    keep = models.BooleanField(default=False, help_text="Never deleted automatically, whatever keep_snapshots is.")
    created_at = models.DateTimeField(auto_now_add=True)

    # What the evaluation on the validation images fitted, in rows of a query that is annotated with fitted().
    temperature: float | None = None
    unsure_below: float | None = None

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
        return self.directory / FILES["onnx"]


class Metric(models.Model):
    """A measurement of a training: the mean over the images since the previous one (train), or over the split (val)."""

    class Split(models.TextChoices):
        TRAIN = "train"
        VAL = "val"

    trained_model = models.ForeignKey("TrainedModel", on_delete=models.CASCADE, related_name="metrics")
    split = models.CharField(max_length=5, choices=Split)
    epoch = models.FloatField()
    iteration = models.PositiveIntegerField(default=0, help_text="Batches trained up to the measurement.")
    loss = models.FloatField()
    accuracy = models.FloatField(null=True, help_text="0 to 1")
    learning_rate = models.FloatField()
    outputs = models.JSONField(default=dict, help_text="The network's other losses and accuracies, by name.")

    class Meta:
        indexes = [
            models.Index(fields=["trained_model", "split", "epoch"], name="metric_curve"),
            # For lists of models by their accuracy.
            models.Index("trained_model", F("accuracy").desc(), condition=models.Q(split="val"), name="metric_best"),
        ]
        ordering = ["trained_model", "split", "epoch"]

    def __str__(self):
        return f"{self.split} at epoch {self.epoch:g} of {self.trained_model_id}"


def thinned(metrics: models.QuerySet, most: int | None) -> models.QuerySet:
    """At most `most` (None: all) measurements of one split, by epoch, evenly spread, with the first and the last. The
    database does the selection."""
    metrics = metrics.order_by("epoch")
    count = metrics.count()
    if most is None or count <= most:
        return metrics
    chosen = [1 + round(i * (count - 1) / (most - 1)) for i in range(most)]
    return metrics.annotate(number=Window(RowNumber(), order_by="epoch")).filter(number__in=chosen)


def metrics_csv(trained_models: Iterable[Job]) -> Iterator[str]:
    """The lines of the CSV: a header, then every measurement of these models, by model, split and epoch.

    Further losses and accuracies have their own columns at the end. Missing values are empty. Memory does not grow with
    the number of measurements.
    """
    measured = Metric.objects.filter(trained_model__in=[model.pk for model in trained_models])
    names = Func(F("outputs"), function="jsonb_object_keys")
    outputs = sorted(measured.order_by().annotate(output=names).values_list("output", flat=True).distinct())
    yield csv_line((*CSV_HEADER, *outputs)) + END
    rows = measured.order_by("trained_model_id", "split", "epoch").values_list(*CSV_COLUMNS, "outputs")
    for *columns, further in rows.iterator():
        yield csv_line((*columns, *(further.get(name) for name in outputs))) + END


class Evaluation(Job):
    """The evaluation of a snapshot on a split, one for each snapshot and split. A worker runs it.

    It remains when its snapshot is deleted, and is deleted with its model.
    """

    QUEUE = "io"
    TASK = "inference.tasks.evaluate"
    ROUTE = "evaluations"
    TYPE = "Model Evaluation"
    IN_INDEX = False
    FILLS_DISK = False
    PART_OF = "trained_model"
    LISTED = (*Job.LISTED, "trained_model", "epoch", "split")

    class Split(models.TextChoices):
        VAL = "val"
        TEST = "test"

    trained_model = models.ForeignKey("TrainedModel", on_delete=models.CASCADE, related_name="evaluations")
    epoch = models.FloatField(help_text="The epoch of the snapshot.")
    split = models.CharField(max_length=4, choices=Split)

    # The results; inference.engine.classification_metrics.Figures describes each.
    images = models.PositiveIntegerField(null=True, editable=False)
    accuracy = models.FloatField(null=True, editable=False, help_text="0 to 1")
    top_5_accuracy = models.FloatField(null=True, editable=False, help_text="0 to 1")
    loss = models.FloatField(null=True, editable=False)
    calibration_error = models.FloatField(null=True, editable=False, help_text="0 to 1")
    categories = models.JSONField(default=list, editable=False)  # for each category precision, recall, f1, support
    confusion_matrix = models.JSONField(null=True, editable=False)  # rows: true category, columns: predicted category
    most_confused = models.JSONField(default=list, editable=False)  # category, answer, images
    worst_errors = models.JSONField(default=list, editable=False)  # record, path, category, answer, confidence

    # For each of fifteen bins of the confidence: images, accuracy, confidence; empty in rows of earlier versions.
    calibration = models.JSONField(default=list, editable=False)
    # Scores p^(1/temperature), scaled to a sum of 1, have the calibration error calibrated_error. Null in earlier rows.
    temperature = models.FloatField(null=True, editable=False)
    calibrated_error = models.FloatField(null=True, editable=False, help_text="0 to 1")
    # Of such scores: [{threshold, answered, accuracy}], 0 to 1; answers of less than unsure_below are unsure.
    risk_coverage = models.JSONField(default=list, editable=False)
    unsure_below = models.FloatField(null=True, editable=False, help_text="0 to 1")

    # The columns that a list of evaluations should defer.
    LARGE = ("categories", "confusion_matrix", "most_confused", "worst_errors")
    FIGURES = ("images", "accuracy", "top_5_accuracy", "loss", "calibration_error", *LARGE)
    RESULTS = (
        *FIGURES,
        "calibration",
        "temperature",
        "calibrated_error",
        "risk_coverage",
        "unsure_below",
    )  # what an evaluation stores; the documented JSON has FIGURES

    class Meta(Job.Meta):
        constraints = [models.UniqueConstraint(fields=["trained_model", "epoch", "split"], name="evaluation_once")]

    def get_absolute_url(self, suffix: str = "") -> str:
        page = reverse("evaluation", args=[self.trained_model_id]) + suffix
        return f"{page}?split={self.split}&snapshot_epoch={self.epoch:g}"


def fitted() -> dict[str, Subquery]:
    """Expressions of a query of snapshots: the `temperature` that calibrates each, and the confidence `unsure_below`
    which its answers are unsure; null before its evaluation on the validation images."""
    evaluated = Evaluation.objects.filter(
        trained_model=OuterRef("trained_model"), epoch=OuterRef("epoch"), split=Evaluation.Split.VAL
    )
    return {name: Subquery(evaluated.values(name)[:1]) for name in ("temperature", "unsure_below")}


def best_accuracy() -> Subquery:
    """The highest accuracy of a model in validation, as an expression of a query of models; null without one. An index
    has the answer for each."""
    measured = Metric.objects.filter(trained_model=OuterRef("pk"), split=Metric.Split.VAL, accuracy__isnull=False)
    return Subquery(measured.order_by("-accuracy").values("accuracy")[:1])
