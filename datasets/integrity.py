"""Checks that a dataset's files are unchanged since the build."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np

from datasets.imagedb.store.records import RecordReader, index_path, shown
from datasets.models import Dataset
from datasets.services import mean_file
from digits_project.common.digests import State, remembered_sha256
from digits_project.common.errors import DamagedFile

REMEDY = "Restore it from a backup, or build the dataset again."


def check_dataset(dataset: Dataset, splits: Collection[str], tick: Callable[[], object], mean: bool = False) -> None:
    """Raise DamagedFile, with the file's name, unless the labels, the records and (with `mean`) the mean image fit the
    dataset's row.

    Each file is read completely, once per process; `tick` is called meanwhile.
    """
    if not dataset.directory.is_dir():
        raise DamagedFile(f"The folder {dataset.pk} of the dataset {dataset.name} is missing. {REMEDY}")
    names = [f"{split}{rest}" for split in splits for rest in (".rec", ".idx", "_labels.rec", "_labels.idx")]
    check_digests(dataset, ["labels.txt", *names, *(["mean.npy"] if mean else [])], tick)
    for split in splits:  # even if the row has no digests
        records = dataset.directory / f"{split}.rec"
        with RecordReader(records) as reader:
            found, wanted = len(reader), dataset.entries(split)
        if found != wanted:
            files = f"{shown(records)} or its index, {shown(index_path(records))},"
            raise DamagedFile(f"{files} is damaged: there are {found} records, not {wanted}. {REMEDY}")
    if dataset.declared_kind.has_categories:
        _check_labels(dataset)


def check_digests(dataset: Dataset, names: Iterable[str], tick: Callable[[], object] = lambda: None) -> None:
    """Raise DamagedFile, with the file's name, unless these files have the digests in the dataset's row. Files
    without a digest pass, because early versions stored none."""
    for name in names:
        if wanted := dataset.digests.get(name):
            path = dataset.directory / name
            try:
                found = remembered_sha256(path, State.of(path), tick)
            except OSError as error:
                raise _unreadable(path, error) from error
            if found != wanted:
                raise _damaged(path, "it is not what the build wrote (its SHA-256 differs)")


def check_mean(dataset: Dataset) -> None:
    """Raise DamagedFile unless the mean image has the shape of the dataset's images."""
    path = mean_file(dataset)
    try:
        mean = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise _damaged(path, error.strerror or error) from error
    except (ValueError, EOFError, SyntaxError, OverflowError) as error:  # if it is not .npy
        raise _damaged(path, "it is not a complete .npy file") from error
    if mean.shape != dataset.image_shape:
        raise _damaged(path, f"it has the shape {mean.shape}, not {dataset.image_shape}")
    check_digests(dataset, [path.name])


def _check_labels(dataset: Dataset) -> None:
    path = dataset.directory / "labels.txt"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if text != "".join(f"{name}\n" for name in dataset.categories).encode():
        raise _damaged(path, "it does not name the dataset's categories")


def _unreadable(path: Path, error: OSError) -> DamagedFile:
    if isinstance(error, FileNotFoundError):
        return DamagedFile(f"{shown(path)} is missing. {REMEDY}")
    return _damaged(path, error.strerror)


def _damaged(path: Path, what: object) -> DamagedFile:
    return DamagedFile(f"{shown(path)} is damaged: {what}. {REMEDY}")
