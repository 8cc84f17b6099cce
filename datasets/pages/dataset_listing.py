"""How the home page lists datasets."""

from collections.abc import Sequence

from django.urls import reverse

from datasets.models import Dataset
from digits_project.jobs.models import Status
from digits_project.jobs.pages.listings import Column, Facts, JobListing, register


def describe(datasets: Sequence[Dataset]) -> Facts:
    """The values of the columns for these datasets."""
    return {
        dataset.pk: {
            "pictures": _pictures(dataset),
            "images": dataset.images,
            "categories": len(dataset.categories) or None,
        }
        for dataset in datasets
    }


def _pictures(dataset: Dataset) -> str:
    """The address of a strip of the dataset's images, which changes when it is built again; "" before it is Done."""
    if dataset.status != Status.DONE:
        return ""
    return (
        f"{reverse('dataset-strip', args=[dataset.pk])}?v={dataset.ended_at:%Y%m%d%H%M%S}" if dataset.ended_at else ""
    )


register(
    JobListing(
        Dataset.ROUTE,
        "Datasets",
        create="create-dataset",
        create_title="New dataset",
        none="A dataset is a folder with one subfolder of images for each category.",
        columns=(
            Column("pictures", "Pictures", "images"),
            Column("images", "Images", "number"),
            Column("categories", "Categories", "number"),
        ),
        select=("splits", "categories", "kind"),
        describe=describe,
    )
)
