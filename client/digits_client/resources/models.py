"""Models: networks that are trained on a dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits_client import classifying
from digits_client.classifying import Image
from digits_client.resources.comparison import Comparison
from digits_client.resources.datasets import Dataset
from digits_client.resources.evaluations import Evaluation
from digits_client.resources.jobs import Fact, Job, Resource
from digits_client.resources.pretrained import Pretrained
from digits_client.results import (
    Classification,
    Curve,
    Explanation,
    Prediction,
    Snapshot,
    explanation_of,
    optional,
    predictions_of,
    record,
    sequence,
    table,
)

ARCHIVES = ("tar.gz", "tgz", "tar.bz2", "tar", "zip")
ONNX = "onnx"
SWEPT = ("learning_rate", "batch_size")  # fields that can have several values
RANGE = re.compile(r"\s*[\d.e+-]+?\.\.[\d.e+-]+(\s+log)?\s*")
FORM = "/models/images/{kind}.json"


class Model(Job):
    """A model. `accuracy` is its highest in validation, 0 to 1; `settings` are the fields of the form that would create
    it again. Wherever a snapshot can be named, it is an epoch, "best" or "latest"; without one the best answers once
    the model is Done, before that the newest."""

    RESOURCE = "models"

    kind = Fact(str)
    network = Fact(str)
    accuracy = Fact(optional(float))
    train_epochs = Fact(float)
    stopped_epoch = Fact(optional(float))
    images_per_second = Fact(optional(float))
    recipe_used = Fact(str)
    engine_used = Fact(str)
    devices_used = Fact(str)
    precision_used = Fact(str)
    search_id = Fact(optional(str))
    snapshots = Fact(sequence(record(Snapshot)))
    warnings = Fact(sequence(str))
    settings = Fact(table)

    @property
    def dataset(self) -> Dataset:
        """The dataset that it is trained on; only its id and name were fetched with the model."""
        if not isinstance(self.facts.get("dataset"), Mapping):
            self.refresh()
        return Dataset(self._connection, {key: value for key, value in self.facts["dataset"].items() if value})

    def _epochs(self) -> float | None:
        return self.facts.get("train_epochs")

    # --- results ------------------------------------------------------------------------------------------------------
    def curves(self) -> dict[str, Curve]:
        """What the training measured: the curves "train" and "val"."""
        found = self._connection.json("GET", f"/models/{self.id}.json", params={"points": "all"})
        outputs = {split: found.get(f"{split}_outputs", {}) for split in ("train", "val")}
        return {
            split: Curve(*(values.get(name, []) for name in ("epoch", "loss", "accuracy")))
            for split, values in outputs.items()
        }

    def snapshot(self, which: float | str = "default") -> Snapshot:
        """A snapshot: "default", "best", "latest" or an epoch. Raises LookupError."""
        for snapshot in self.refresh().snapshots:
            if getattr(snapshot, which) if isinstance(which, str) else snapshot.epoch == which:
                return snapshot
        raise LookupError(f"{self.name} has no snapshot {which}.")

    def keep(self, epoch: float, keep: bool = True) -> Model:
        """Mark a snapshot so that it is never deleted automatically; keep=False removes the mark."""
        self._connection.request("PUT", f"/api/v1/models/{self.id}/snapshots/{epoch:g}", fields={"keep": keep})
        return self.refresh()

    def delete_snapshot(self, epoch: float) -> Model:
        """Delete a snapshot that is not marked to be kept and that no job needs."""
        self._connection.request("DELETE", f"/api/v1/models/{self.id}/snapshots/{epoch:g}")
        return self.refresh()

    def stop_early(self) -> Model:
        """End the training after its current step: it is Done then, with its best snapshot. wait() waits for that."""
        self._connection.request("POST", f"/api/v1/models/{self.id}/stop")
        return self.refresh()

    def publish(self, snapshot: float | str | None = None, name: str | None = None) -> Pretrained:
        """Make a pretrained model of a snapshot, from which other trainings can start. The model can be deleted
        then."""
        form = {"snapshot_epoch": snapshot, "job_name": name}
        return Pretrained(
            self._connection, self._connection.json("POST", f"/models/{self.id}/to_pretrained.json", fields=form)
        )

    def evaluate(self, split: str = "val", snapshot: float | str | None = None) -> Evaluation:
        """Evaluate a snapshot on the images of a split, "val" or "test", unless that was done before. wait() waits."""
        form = {"split": split, "snapshot_epoch": snapshot}
        return Evaluation(
            self._connection, self._connection.json("POST", f"/models/{self.id}/evaluation.json", fields=form)
        )

    def evaluations(self) -> Sequence[Evaluation]:
        """Its evaluations, the newest first. The best snapshot is evaluated when a training ends."""
        found = self._connection.json("GET", "/api/v1/evaluations", params={"model": self.id, "sort": "-created"})
        return [Evaluation(self._connection, facts) for facts in found["results"]]

    # --- images -------------------------------------------------------------------------------------------------------
    def classify(
        self,
        images: Iterable[Image],
        snapshot: float | str | None = None,
        *,
        skip_unreadable: bool = False,
        progress: bool = False,
        unsure_below: float | None = None,
    ) -> Sequence[Classification]:
        """Classify images: paths of this computer, bytes of image files, or URLs that the server fetches (if it allows
        that). The results have the order of the images. An image that can't be read raises an ApiError, or is left out
        with `skip_unreadable`. `unsure_below`: as in classify_one()."""
        options = {"skip_unreadable": skip_unreadable, "progress": progress}
        return classifying.classify(self._connection, self.id, images, snapshot, unsure_below, **options)

    def classify_one(
        self, image: Image, snapshot: float | str | None = None, *, unsure_below: float | None = None
    ) -> Classification:
        """Classify one image. `unsure_below`: the confidence, 0 to 1, below which the result is `unsure`; by default
        the threshold that an evaluation on the validation images has chosen."""
        return classifying.classify_one(self._connection, self.id, image, snapshot, unsure_below)

    def explain(self, image: Image, category: str | None = None, snapshot: float | str | None = None) -> Explanation:
        """Which parts of an image speak for a category, by default for the surest one."""
        form = {"job_id": self.id, "snapshot_epoch": snapshot, **classifying.image_field(image)}
        asked = {"explain": "yes", "explain_category": category}
        response = self._connection.request("POST", classifying.ONE, params=asked, fields=form)
        return explanation_of(response.json()["explanation"])

    def classify_on_server(
        self,
        paths: Iterable[str],
        folder: str = "",
        snapshot: float | str | None = None,
        *,
        most: int | None = None,
    ) -> Sequence[Classification]:
        """Classify images that the server has: paths inside its data roots, relative to `folder` if that is given.
        Unreadable ones are left out."""
        form = {"job_id": self.id, "snapshot_epoch": snapshot, **classifying.list_fields(paths, folder, most)}
        response = self._connection.request("POST", "/models/images/classification/classify_many.json", fields=form)
        epoch = response.headers.get("X-Digits-Snapshot")
        return [
            Classification(image, predictions_of(ranked), None if epoch is None else float(epoch))
            for image, ranked in response.json()["classifications"].items()
        ]

    def top(
        self, paths: Iterable[str], folder: str = "", *, most: int = 9, snapshot: float | str | None = None
    ) -> dict[str, Sequence[Prediction]]:
        """For each category the images of the server of which the model is surest. In these predictions `category` is
        the image's path."""
        form = {"job_id": self.id, "snapshot_epoch": snapshot, "top_n": most}
        path = "/models/images/classification/top_n.json"
        found = self._connection.json("POST", path, fields={**form, **classifying.list_fields(paths, folder, None)})
        return {category: predictions_of(ranked) for category, ranked in found["top_n"].items()}

    def outputs(self, image: Image, snapshot: float | str | None = None) -> dict[str, Any]:
        """The values of the network's last layers for one image: {layer: nested lists}, for any kind of model."""
        form = {"job_id": self.id, "snapshot_epoch": snapshot, **classifying.image_field(image)}
        found: dict[str, Any] = self._connection.json("POST", "/models/images/generic/infer_one.json", fields=form)
        return dict(found["outputs"])

    # --- elsewhere ----------------------------------------------------------------------------------------------------
    def download(
        self, file: str | os.PathLike[str], snapshot: float | str | None = None, *, calibrated: bool = False
    ) -> Path:
        """Write a snapshot to a file of this computer and return its path. The name decides the form: .tar.gz, .tgz,
        .tar, .tar.bz2 or .zip is an archive with everything that is needed to run it, and a classify.py that gives the
        server's answers; .onnx is the network alone. `calibrated`: model.onnx gives calibrated scores."""
        path = Path(file)
        form = next((form for form in (*ARCHIVES, ONNX) if path.name.lower().endswith(f".{form}")), None)
        if form is None:
            raise ValueError(f"{path.name} must end in .{', .'.join(ARCHIVES)} or .{ONNX}.")
        asked = {"epoch": snapshot, "calibrated": calibrated or None}
        return self._connection.download(f"/models/{self.id}/download.{form}", path, params=asked)

    def train_further(
        self,
        dataset: Dataset | None = None,
        name: str | None = None,
        *,
        snapshot: float | str = "default",
        **fields: Any,
    ) -> Model:
        """Create a model that starts with the weights of a snapshot, on the same or another dataset."""
        on = dataset or self.dataset
        start = {
            "method": "previous",
            "previous_networks": self.id,
            f"{self.id}-snapshot": self.snapshot(snapshot).epoch,
        }
        return Models(self._connection).train(
            on, name or self.name, recipe="classic", kind=self.kind, **start, **fields
        )

    def train_again(self, name: str | None = None, **changes: Any) -> Model:
        """Create a model with the same settings, except for these changes."""
        path = f"{FORM.format(kind=self.kind)}?clone={self.id}"
        return Model(
            self._connection, self._connection.json("POST", path, fields={"model_name": name or self.name, **changes})
        )


class Models(Resource[Model]):
    """The models of the server."""

    KIND = Model

    def train(
        self,
        dataset: Dataset | str,
        name: str | None = None,
        *,
        recipe: str = "auto",
        kind: str | None = None,
        **fields: Any,
    ) -> Model:
        """Train a model on a dataset, which need not be Done yet. A recipe fills in the fields that are not given;
        "classic" has the defaults of DIGITS. `fields` are fields of the form: train_epochs=10,
        standard_networks="lenet", learning_rate=0.01, custom_network=Path("net.prototxt") … Returns at once; wait()
        waits for the end."""
        several = [field for field, value in fields.items() if _is_several(field, value)]
        if several:
            raise ValueError(
                f"{several[0]} has several values: models.sweep() trains a model for each combination, and "
                "searches.start() looks for the best values."
            )
        return self._created(*self._form(dataset, name, {"recipe": recipe, **fields}, kind))

    def sweep(
        self, dataset: Dataset | str, name: str | None = None, *, recipe: str = "classic", **fields: Any
    ) -> Sequence[Model]:
        """Train a model for each combination of several learning rates or batch sizes: learning_rate=[0.1, 0.01]."""
        path, form = self._form(dataset, name, {"recipe": recipe, **fields}, None)
        created = self._connection.json("POST", path, fields=form)
        return [self._kind(facts) for facts in created.get("jobs", [created])]

    def plan(
        self, dataset: Dataset | str, *, recipe: str = "auto", kind: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """What train() would do, without doing it: what the recipe fills in, an estimate of time, disk and memory,
        warnings and refusals."""
        path, form = self._form(dataset, "plan", {"recipe": recipe, "dry_run": True, **fields}, kind)
        found: dict[str, Any] = self._connection.json("POST", path, fields=form)
        return found

    def compare(self, *models: Model) -> Comparison:
        """Put models side by side: their accuracies, evaluations, and the settings that differ."""
        fresh = tuple(model.refresh() for model in models)
        names = dict.fromkeys(name for model in fresh for name in model.settings if name != "model_name")
        values = {name: tuple(model.settings.get(name) for model in fresh) for name in names}
        judged = (next((one for one in model.evaluations() if one.status == "Done"), None) for model in fresh)
        return Comparison(
            fresh,
            tuple(model.accuracy for model in fresh),
            tuple(judged),
            {name: found for name, found in values.items() if any(value != found[0] for value in found)},
        )

    def _form(
        self, dataset: Dataset | str, name: str | None, fields: Mapping[str, Any], kind: str | None
    ) -> tuple[str, dict[str, Any]]:
        """The address and the fields of the form that trains a model on this dataset."""
        known = dataset if isinstance(dataset, Dataset) else None
        path = FORM.format(kind=kind or (known.kind if known else "classification"))
        return path, {"model_name": name or (known.name if known else dataset), "dataset": dataset, **fields}


def _is_several(field: str, value: Any) -> bool:
    """Whether a field has several values, or a range such as 0.001..0.1 log."""
    if field in SWEPT and (isinstance(value, (list, tuple)) or "," in str(value)):
        return True
    return isinstance(value, str) and RANGE.fullmatch(value) is not None
