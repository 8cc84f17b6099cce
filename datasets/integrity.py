"""Whether the files of a dataset that was built are whole, as far as that can be seen without reading every image."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from datasets.imagedb.store.records import RecordReader, index_path
from datasets.models import Dataset, DatasetKind
from datasets.services import mean_file
from digits_project.common.errors import DamagedFile

REMEDY = "Restore it from a backup, or build the dataset again."


def check_dataset(dataset: Dataset, splits: Iterable[str]) -> None:
    """Raise DamagedFile, which names the file, unless labels and records are what the dataset's row says."""
    if not dataset.directory.is_dir():
        raise DamagedFile(f"The folder {dataset.pk} of the dataset {dataset.name} is missing. {REMEDY}")
    for split in splits:
        records = dataset.directory / f"{split}.rec"
        with RecordReader(records) as reader:
            found, wanted = len(reader), dataset.entries(split)
        if found != wanted:
            names = f"{_shown(records)} or its index, {_shown(index_path(records))},"
            raise DamagedFile(f"{names} is damaged: there are {found} records, not {wanted}. {REMEDY}")
    if dataset.kind == DatasetKind.CLASSIFICATION:
        _check_labels(dataset)


def check_mean(dataset: Dataset) -> None:
    """Raise DamagedFile unless the mean image is one for the dataset's images."""
    path = mean_file(dataset)
    try:
        mean = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise _damaged(path, error.strerror or error) from error
    except (ValueError, EOFError, SyntaxError, OverflowError) as error:  # what NumPy raises for what is no .npy file
        raise _damaged(path, "it is no whole .npy file") from error
    if mean.shape != dataset.image_shape:
        raise _damaged(path, f"it has the shape {mean.shape}, not {dataset.image_shape}")


def _check_labels(dataset: Dataset) -> None:
    path = dataset.directory / "labels.txt"
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFile(f"{_shown(path)} is missing. {REMEDY}") from error
    except OSError as error:
        raise _damaged(path, error.strerror) from error
    if text != "".join(f"{name}\n" for name in dataset.categories).encode():
        raise _damaged(path, "it does not name the categories of the dataset")


def _damaged(path: Path, what: object) -> DamagedFile:
    return DamagedFile(f"{_shown(path)} is damaged: {what}. {REMEDY}")


def _shown(path: Path) -> str:
    """Below the folder of the jobs: server paths are for operators only."""
    return "/".join(path.parts[-2:])
