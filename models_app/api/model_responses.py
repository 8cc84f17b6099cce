"""A model as JSON, and serializers of the responses for the schema."""

from rest_framework import serializers

from datasets.imagedb.images.resize import INTERPOLATIONS
from digits_project.jobs.api.job_responses import Created, JobFacts, created, describe_job
from digits_project.jobs.models import Status
from digits_project.jobs.overview import waiting_reason
from models_app.models import TrainedModel
from models_app.recipes import CLASSIC
from models_app.results import BEST, NEWEST, Evaluation, Metric, Which, thinned
from models_app.search.search_job import Search
from models_app.sizes import input_sizes

MAX_POINTS = 200  # of a curve, unless ?points=all
MAX_CATEGORIES = 100  # of an evaluation, on a page


def model_json(model: TrainedModel, every_point: bool = False) -> dict:
    """The response to GET /models/<id>.json."""
    outputs = {f"{split}_outputs": curve(model, split, every_point) for split in Metric.Split.values}
    stopped = {} if model.stopped_epoch is None else {"stopped_epoch": epoch_json(model.stopped_epoch)}
    return describe_job(
        model,
        snapshots=[epoch_json(epoch) for epoch in model.snapshots.order_by("epoch").values_list("epoch", flat=True)],
        dataset_id=model.dataset_id,
        network=model.network_name,
        **waiting_json(model),
        **marked_json(model),
        **recipe_json(model),
        engine=model.engine,
        **model.computed_by(),
        **input_json(model),
        **started_json(model),
        **stopped,
        **trial_json(model),
        **{name: points for name, points in outputs.items() if points["epoch"]},
    )


def waiting_json(model: TrainedModel) -> dict:
    """Why a waiting model does not train yet; {} for any other."""
    reason = waiting_reason(model)
    return {"waiting_reason": reason} if reason else {}


def trial_json(model: TrainedModel) -> dict:
    """The search that a model is a trial of; {} for any other model."""
    if model.search_id is None:
        return {}
    pruned = {} if model.pruned_epoch is None else {"pruned_epoch": epoch_json(model.pruned_epoch)}
    return {"search_id": model.search_id, "trial": model.trial, **pruned}


def marked_json(model: TrainedModel) -> dict:
    """The epochs of the newest snapshot, of the best, and of the one that answers if none is named; {} without any."""
    marks: dict[str, Which] = {"latest_snapshot": NEWEST, "best_snapshot": BEST, "default_snapshot": None}
    marked = {name: model.snapshot_at(which) for name, which in marks.items()}
    return {name: epoch_json(snapshot.epoch) for name, snapshot in marked.items() if snapshot}


def recipe_json(model: TrainedModel) -> dict:
    """The recipe of the model, and what it filled in; {} for classic, which fills in nothing."""
    if model.recipe == CLASSIC.name:
        return {}
    reason = {"recipe_reason": model.recipe_reason} if model.recipe_reason else {}
    return {"recipe": model.recipe, "recipe_used": model.recipe_used, **reason, "filled_in": model.filled_in}


def started_json(model: TrainedModel) -> dict:
    """The layers that started from given weights, and those that started with random weights; nothing of both if no
    weights were given. And warnings: the reasons, and what its create warned of."""
    started = {"taken_over": model.taken_over, "afresh": model.afresh} if model.taken_over else {}
    return started | warnings_json(model)


def warnings_json(model: TrainedModel) -> dict:
    """The warnings; {} if there are none."""
    return {"warnings": model.warnings} if model.warnings else {}


def input_json(model: TrainedModel) -> dict:
    """The side of the images that the network takes, and how the dataset's images are scaled to it; {} if they are
    not."""
    if model.input_size is None:
        return {}
    resize = input_sizes.resize_of(model)
    return {"input_size": model.input_size, "input_resize": resize.to_dict() if resize else None}


def curve(model: TrainedModel, split: str, every_point: bool) -> dict:
    """`{"epoch": […], "loss": […]}`, `accuracy` if the network has one, and its further outputs by name.

    At most 200 points unless `every_point`, thinned evenly, with the first and the last.
    """
    metrics = thinned(model.metrics.filter(split=split), None if every_point else MAX_POINTS)
    rows = list(metrics.values_list("epoch", "loss", "accuracy", "outputs"))
    points = {"epoch": [epoch_json(row[0]) for row in rows], "loss": [row[1] for row in rows]}
    if any(row[2] is not None for row in rows):
        points["accuracy"] = [row[2] for row in rows]
    for name in dict.fromkeys(name for row in rows for name in row[3]):
        points.setdefault(name, [row[3].get(name) for row in rows])
    return points


def created_json(job: TrainedModel | Search) -> dict:
    """The response to a create of one model, or of a search."""
    return created(job, dataset_id=job.dataset_id, **(warnings_json(job) if isinstance(job, TrainedModel) else {}))


def evaluation_json(evaluation: Evaluation, whole: bool = True) -> dict:
    """The response to GET /models/<id>/evaluation.json; the metrics are there once the evaluation is Done.

    Without `whole`, for a page, the metrics by category are left out if there are too many for a page.
    """
    names: tuple[str, ...] = Evaluation.FIGURES if evaluation.status == Status.DONE else ()
    if not whole and len(evaluation.categories) > MAX_CATEGORIES:
        names = tuple(name for name in names if name not in ("categories", "confusion_matrix"))
    return describe_job(evaluation, **_evaluated(evaluation), **{name: getattr(evaluation, name) for name in names})


def created_evaluation_json(evaluation: Evaluation) -> dict:
    """The response to a create of an evaluation."""
    return created(evaluation, **_evaluated(evaluation))


def _evaluated(evaluation: Evaluation) -> dict:
    epoch = epoch_json(evaluation.epoch)
    return {"model_id": evaluation.trained_model_id, "snapshot_epoch": epoch, "split": evaluation.split}


def epoch_json(epoch: float) -> float | int:
    """The epoch as an int if it is whole: 1, or 0.5."""
    return int(epoch) if epoch == int(epoch) else epoch


class CreatedModel(Created):
    """A model, or a search, that was created."""

    dataset_id = serializers.CharField()
    warnings = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What makes little sense, one sentence each."
    )


class CreatedSweep(serializers.Serializer):
    """Models that were created together."""

    jobs = CreatedModel(many=True)


class Curve(serializers.Serializer):
    """Lists of the same length: the epochs and the values measured at them. Other outputs of the network have lists
    of their own."""

    epoch = serializers.ListField(child=serializers.FloatField())
    loss = serializers.ListField(child=serializers.FloatField(allow_null=True))
    accuracy = serializers.ListField(child=serializers.FloatField(allow_null=True), required=False, help_text="0 to 1.")


class ScaledInput(serializers.Serializer):
    """How the dataset's images are scaled to input_size; null: a square of that size is cut from them, or they have
    it."""

    window = serializers.IntegerField(help_text="The side of the square of the image that is scaled.")
    size = serializers.IntegerField(help_text="The side of the scaled image.")
    interpolation = serializers.ChoiceField(list(INTERPOLATIONS), help_text="The filter, as Pillow has it.")


class ModelFacts(JobFacts):
    """A model."""

    snapshots = serializers.ListField(child=serializers.FloatField(), help_text="The epochs, 1 or 0.5.")
    dataset_id = serializers.CharField()
    network = serializers.CharField(help_text="The name of its network, or the method that made it.")
    waiting_reason = serializers.CharField(required=False, help_text="Why it waits; absent unless it does.")
    latest_snapshot = serializers.FloatField(required=False, help_text="The epoch of the newest snapshot.")
    best_snapshot = serializers.FloatField(
        required=False, help_text="The epoch of the snapshot with the best validation; without any that of the newest."
    )
    default_snapshot = serializers.FloatField(
        required=False,
        help_text="The epoch of the snapshot that answers if none is named: the best once the model is Done.",
    )
    recipe = serializers.CharField(required=False, help_text="The requested recipe; absent if it is classic.")
    recipe_used = serializers.CharField(required=False, help_text="The recipe that was followed: what auto chose.")
    recipe_reason = serializers.CharField(required=False, help_text="Why auto chose it.")
    filled_in = serializers.DictField(
        required=False, help_text="The fields that were left empty, with what the recipe filled in."
    )
    engine = serializers.CharField(help_text="The requested engine: auto, or its name.")
    engine_used = serializers.CharField(required=False, help_text="The engine that trains it, with its version.")
    devices_used = serializers.CharField(required=False, help_text="The devices that train it, such as gpu0, gpu1.")
    precision_used = serializers.CharField(required=False, help_text="The precision of its computations: fp32 or bf16.")
    images_per_second = serializers.FloatField(required=False, help_text="How fast it trains, on average.")
    taken_over = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Layers that started from the given weights."
    )
    afresh = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Layers that started with random weights."
    )
    warnings = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What makes little sense, one sentence each."
    )
    input_size = serializers.IntegerField(
        required=False, help_text="The side of the images that the network takes, if it was chosen."
    )
    input_resize = ScaledInput(required=False, allow_null=True)
    stopped_epoch = serializers.FloatField(
        required=False, help_text="The epoch at which early_stop_patience ended the training."
    )
    search_id = serializers.CharField(required=False, help_text="The search of which the model is a trial.")
    trial = serializers.IntegerField(required=False, help_text="Its number in that search, from 1.")
    pruned_epoch = serializers.FloatField(required=False, help_text="The epoch at which the search stopped it.")
    train_outputs = Curve(required=False)
    val_outputs = Curve(required=False)


class Columns(serializers.Serializer):
    """A name and its numbers, for each curve."""

    columns = serializers.ListField(child=serializers.ListField(child=serializers.JSONField()))


class Chart(serializers.Serializer):
    """Curves to draw."""

    def get_fields(self):
        return {"data": Columns()}  # as an attribute it would hide the serializer's own `data`


class CreatedEvaluation(Created):
    """An evaluation that was requested."""

    model_id = serializers.CharField()
    snapshot_epoch = serializers.FloatField()
    split = serializers.ChoiceField(Evaluation.Split.choices)


class CategoryFigures(serializers.Serializer):
    """The figures of one category."""

    category = serializers.CharField()
    precision = serializers.FloatField(
        help_text="Precision: of the images predicted as this category, the fraction that is right."
    )
    recall = serializers.FloatField(help_text="Recall: of the images of this category, the fraction predicted as it.")
    f1 = serializers.FloatField(help_text="The harmonic mean of precision and recall.")
    support = serializers.IntegerField(help_text="The number of images of this category.")


class Confused(serializers.Serializer):
    """The number of images of one category that were predicted as another."""

    category = serializers.CharField(help_text="The true category.")
    answer = serializers.CharField(help_text="The predicted category.")
    images = serializers.IntegerField()


class WorstError(serializers.Serializer):
    """An image that was classified wrongly."""

    record = serializers.IntegerField(help_text="The image's number in the split, from 0.")
    path = serializers.CharField(help_text="The file of the image.")
    category = serializers.CharField(help_text="The true category.")
    answer = serializers.CharField(help_text="The predicted category.")
    confidence = serializers.FloatField(help_text="In percent.")


class EvaluationFacts(JobFacts):
    """The evaluation of a snapshot. The results are there once its status is Done."""

    model_id = serializers.CharField()
    snapshot_epoch = serializers.FloatField()
    split = serializers.ChoiceField(Evaluation.Split.choices)
    images = serializers.IntegerField(required=False)
    accuracy = serializers.FloatField(required=False, help_text="0 to 1.")
    top_5_accuracy = serializers.FloatField(
        required=False, help_text="The fraction of images whose true category is among the five best; 0 to 1."
    )
    loss = serializers.FloatField(required=False, help_text="The mean of -log(score of the true category).")
    calibration_error = serializers.FloatField(
        required=False,
        help_text=(
            "Expected calibration error: the mean difference between confidence and accuracy over 15 bins; 0 to 1."
        ),
    )
    categories = CategoryFigures(many=True, required=False)
    confusion_matrix = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        required=False,
        allow_null=True,
        help_text="One row for each true category, one column for each predicted one; null above 1000 categories.",
    )
    most_confused = Confused(many=True, required=False, help_text="The most frequent errors, at most 100.")
    worst_errors = WorstError(
        many=True, required=False, help_text="The errors with the highest confidence, at most 50."
    )
