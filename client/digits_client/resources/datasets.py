"""Datasets: folders of images prepared for training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from digits_client.resources.jobs import Fact, Job, Resource
from digits_client.resources.reports import Report
from digits_client.resources.uploads import Uploads
from digits_client.results import Category, Difference, SkippedFiles, difference_of, optional, record, sequence, table


class Dataset(Job):
    """A dataset. `images` has the number of images of each split, `settings` the fields of the form that would create
    it again."""

    RESOURCE = "datasets"

    kind = Fact(str)
    method = Fact(str)
    image_width = Fact(int)
    image_height = Fact(int)
    image_channels = Fact(int)
    resize_mode = Fact(str)
    encoding = Fact(str)
    images = Fact(table)
    category_count = Fact(int)
    categories = Fact(sequence(record(Category)))
    skipped = Fact(int)
    skipped_files = Fact(record(SkippedFiles))
    warnings = Fact(sequence(str))
    parent_id = Fact(optional(str))
    fold = Fact(optional(int))
    folds = Fact(optional(int))
    model_count = Fact(int)
    settings = Fact(table)

    def report(self) -> Report:
        """The report on what spoils the dataset, which a worker makes unless it exists; wait() waits for it."""
        return Report(self._connection, self._connection.json("POST", f"/datasets/{self.id}/report.json", fields={}))

    # --- revisions ----------------------------------------------------------------------------------------------------
    def revise(self, exclude: Iterable[str] = (), relabel: Mapping[str, str] | None = None, name: str = "") -> Dataset:
        """Make a new dataset of this one's records, without the images of `exclude`, and with the categories of
        `relabel`: {"train/17": "cat"}. An image is named by its split and the number of its record. wait() waits."""
        relabelled = "\n".join(f"{image}={category}" for image, category in (relabel or {}).items())
        fields = {"exclude": "\n".join(exclude), "relabel": relabelled, "dataset_name": name}
        return Dataset(
            self._connection, self._connection.json("POST", f"{self._address}/revisions.json", fields=fields)
        )

    def revisions(self) -> list[Dataset]:
        """The datasets that were made of this one's records, the oldest first."""
        found = self._connection.json("GET", f"{self._address}/revisions.json")["revisions"]
        return [Dataset(self._connection, facts) for facts in found]

    def difference(self, before: Dataset | str | None = None) -> Difference:
        """What this dataset differs in from the one that it revises, or from another revision of the same images."""
        params = {"before": before.id if isinstance(before, Dataset) else before} if before else {}
        return difference_of(self._connection.json("GET", f"{self._address}/diff.json", params=params))

    @property
    def _address(self) -> str:
        return f"/datasets/{self.facts['id']}"


class Datasets(Resource[Dataset]):
    """The datasets of the server."""

    KIND = Dataset

    def create_from_folder(
        self, folder: str | os.PathLike[str], name: str | None = None, *, progress: bool = True, **fields: Any
    ) -> Dataset:
        """Send a folder of this computer that has one subfolder of images for each category (or train, val and test
        with such subfolders), and build a dataset of it. It can also be an archive of such a folder: a zip, tar, tar.gz
        or tar.bz2.

        The folder is sent in pieces and survives a lost connection. If sending fails for long, or the form has an
        error, call it again: what has arrived is not sent again. `fields` are further fields of the form, such as
        resize_width=224, resize_height=224, folder_pct_val=20. Returns at once after sending; wait() waits for the
        build.
        """
        path = Path(folder)
        upload = Uploads(self._connection).send(path, progress=progress)
        return self.create(name or upload.name.partition(".")[0], upload_train=upload.id, **fields)

    def create(self, name: str, *, kind: str = "classification", **fields: Any) -> Dataset:
        """Build a dataset from any fields of the form: folder_train="/a/folder/of/the/server",
        archive_train=Path("an archive of this computer"), method="textfile" … `kind` is classification or generic."""
        return self._created(f"/datasets/images/{kind}.json", {"dataset_name": name, **fields}, kind=kind)
