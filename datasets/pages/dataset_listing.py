"""How the home page lists datasets."""

from collections.abc import Sequence

from datasets.models import Dataset
from digits_project.jobs.pages.listings import Column, Facts, JobListing, register


def describe(datasets: Sequence[Dataset]) -> Facts:
    """The values of the columns for these datasets."""
    return {
        dataset.pk: {
            "images": sum(split["entries"] for split in dataset.splits),
            "categories": len(dataset.categories) or None,
        }
        for dataset in datasets
    }


register(
    JobListing(
        Dataset.ROUTE,
        "Datasets",
        create="create-dataset",
        create_title="New dataset",
        none="A dataset is a folder with one subfolder of images for each category.",
        columns=(
            Column("images", "Images", "number"),
            Column("categories", "Categories", "number"),
        ),
        select=("splits", "categories", "kind"),
        describe=describe,
    )
)
