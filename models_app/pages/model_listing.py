"""How the home page lists models, pretrained models and searches."""

from collections.abc import Mapping, Sequence

from django.db.models import F

from datasets.models import Dataset
from digits_project.jobs.models import Job
from digits_project.jobs.pages.listings import Column, Facts, JobListing, register
from digits_project.jobs.visibility import visible
from models_app.api.resources.sparklines import sparklines
from models_app.models import TrainedModel
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import Metric, best_accuracy
from models_app.search.search_job import Search

_TRAINED_TO = Column("dataset", "Dataset", "link", F("dataset__name"))


def describe_models(models: Sequence[TrainedModel]) -> Facts:
    """The values of the columns for these models."""
    rows = TrainedModel.objects.filter(pk__in=[model.pk for model in models])
    best = dict(rows.values_list("pk", best_accuracy()))
    curves, links = sparklines(models), _datasets(models)
    return {
        model.pk: {
            "accuracy": best.get(model.pk),
            "course": curves.get(model.pk, ()),
            "network": model.standard_network or model.method,
            "dataset": links.get(model.dataset_id),
        }
        for model in models
    }


def losses(models: Sequence[TrainedModel]) -> Mapping[str, Sequence[float]]:
    """{model id: its course of the training loss}."""
    return sparklines(models, "loss", Metric.Split.TRAIN)


def describe_searches(searches: Sequence[Search]) -> Facts:
    links = _datasets(searches)
    return {search.pk: {"dataset": links.get(search.dataset_id), "trials": search.search_trials} for search in searches}


def describe_pretrained(rows: Sequence[PretrainedModel]) -> Facts:
    names = dict(
        PretrainedModel.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "network__name")
    )  # a whole network is large
    return {
        row.pk: {"network": row.standard_network or names.get(row.pk) or "–", "categories": row.categories}
        for row in rows
    }


def _datasets(jobs: Sequence[TrainedModel | Search]) -> dict[str, tuple[str, str]]:
    """{dataset id: (address, name)} of the datasets of these jobs that the user may see."""
    found = visible(Dataset).filter(pk__in={job.dataset_id for job in jobs}).only("job_id", "name")
    return {dataset.pk: (_address(dataset), dataset.name) for dataset in found}


def _address(job: Job) -> str:
    return job.get_absolute_url()


register(
    JobListing(
        TrainedModel.ROUTE,
        "Models",
        create="create-model",
        create_title="New model",
        none="A model is a network that is trained on a dataset.",
        columns=(
            Column("accuracy", "Accuracy", "percent", best_accuracy()),
            Column("course", "Validation", "spark"),
            Column("network", "Network", order=F("standard_network")),
            _TRAINED_TO,
        ),
        select=("dataset", "standard_network", "method", "resumed_from"),
        describe=describe_models,
        curves=losses,
        searched=("standard_network", "dataset__name"),
    )
)
register(
    JobListing(
        PretrainedModel.ROUTE,
        "Pretrained",
        create="create-pretrained",
        create_title="Import weights",
        none="Import weights, or make a pretrained model from a snapshot of a model.",
        columns=(
            Column("network", "Network", order=F("standard_network")),
            Column("categories", "Categories", "number", F("categories")),
        ),
        select=("standard_network", "categories"),
        describe=describe_pretrained,
        searched=("standard_network",),
    )
)
register(
    JobListing(
        Search.ROUTE,
        "Searches",
        create="create-model",
        create_title="New search",
        none="A search trains several models and keeps the best: give a range, such as 0.001..0.1, as a setting.",
        columns=(_TRAINED_TO, Column("trials", "Trials", "number", F("search_trials"))),
        select=("dataset", "search_trials"),
        describe=describe_searches,
        searched=("dataset__name",),
    )
)
