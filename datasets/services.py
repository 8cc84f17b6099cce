"""What may be done with datasets."""

from dataclasses import asdict
from pathlib import Path

from datasets import imagedb
from datasets.models import Dataset
from digits_project.jobs.services import submit


def create_dataset(owner: str, **fields) -> Dataset:
    """Record the request and let dispatch queue it. Raises ValidationError, nothing saved."""
    return submit(Dataset(owner=owner, **fields))


def build(dataset: Dataset, report) -> None:
    """Build the image databases of a running job into its folder, and store what came of it."""
    built = imagedb.build(dataset.spec(), dataset.directory, report)
    dataset.categories = built.categories
    dataset.splits = [asdict(split) for split in built.splits]
    dataset.skipped = built.skipped
    dataset.warnings = built.warnings
    dataset.save(update_fields=["categories", "splits", "skipped", "warnings"])


def describe_tasks(dataset: Dataset) -> dict:
    """DIGITS's two lists of tasks, as far as they are done."""
    names = [split["name"] for split in dataset.splits]
    counts = {f"{split}_count": dataset.entries(split) for split in ("train", "val", "test")}
    width, height = dataset.resize_width, dataset.resize_height
    image = {"image_width": width, "image_height": height, "image_channels": dataset.resize_channels}
    parsed = {"name": f"Parse Folder ({'/'.join(names)})", "label_count": len(dataset.categories), **counts}
    return {
        "ParseFolderTasks": [parsed] if names else [],
        "CreateDbTasks": [
            {"name": f"Create DB ({split['name']})", "entries": split["entries"], **image, "encoding": dataset.encoding}
            for split in dataset.splits
        ],
    }


def mean_file(dataset: Dataset) -> Path:
    """The mean image of the training split: .npy, float32, C×H×W."""
    return dataset.directory / "mean.npy"
