"""Creates datasets and models from the jobs of a DIGITS server (digits_jobs), with their ids."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from django.conf import settings
from django.core.exceptions import ValidationError

from datasets import imagedb
from datasets import kinds as dataset_kinds
from datasets import services as dataset_services
from datasets.imagedb.foreign.datum import parse_blob
from datasets.imagedb.store.mean import read_mean, save_mean
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset, ResizeMode
from datasets.sources import PREBUILT
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from digits_project.jobs.models import find_job
from digits_project.jobs.services import take_in
from models_app import kinds as model_kinds
from models_app.digits_import.digits_jobs import DigitsJob
from models_app.models import NetworkMethod, TrainedModel
from models_app.networks import caffemodel, prototxt
from models_app.results import Snapshot
from models_app.services import BATCH_SIZE
from models_app.training.data.crops import centred
from models_app.training.hyperparameters import Hyperparameters
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES, sha256
from models_app.training.snapshots.snapshot_writer import save_weights_apart

MEAN = "mean.binaryproto"
UNREADABLE = {
    "torch": "It was trained with Torch, and its network is a Lua program; only Caffe's models can be imported.",
    "tensorflow": (
        "It was trained with TensorFlow, and its network is a Python program; only Caffe's models can be imported."
    ),
}
WITHOUT_RECORDS = (
    "It was imported from DIGITS without its databases: models classify, but nothing can be trained on it."
)


def take_dataset(found: DigitsJob, owner: str, records: bool, report: Callable[[float], None]) -> Dataset:
    """Import a dataset. The databases of one for classification are copied only with `records`.

    Raises BadInput, or FileExistsError if the id is taken.
    """
    if found.is_generic:
        return _take_generic(found, owner, records, report)
    labels, databases = found.labels, found.path / "train_db"
    if not labels:
        raise BadInput(f"It has no labels.txt{_of_class(found)}, so the names of its categories are unknown.")
    shape = _mean_shape(found.path / MEAN)
    taken = records and databases.exists()
    if shape is None and not taken:
        raise BadInput(f"The size of its images is unknown: it has no {MEAN}, and its databases are not imported.")
    channels, height, width = shape or (3, 1, 1)
    mode = found.facts.get("resize_mode")
    categories = imagedb.usable_names(labels)
    warnings = [] if taken else [WITHOUT_RECORDS]
    warnings += [
        f"Category {number}, {label!r} in labels.txt, is called {name} here: that name is taken or can't be shown."
        for number, (label, name) in enumerate(zip(labels, categories, strict=True))
        if label != name
    ]
    dataset = Dataset(
        job_id=found.job_id, name=found.name, owner=owner, notes=_notes(found), group_name=found.group,
        method=PREBUILT.name,
        categories=categories, resize_channels=channels, resize_height=height, resize_width=width,
        resize_mode=mode if mode in ResizeMode.values else ResizeMode.SQUASH, prebuilt_train_images=str(databases),
        warnings=warnings,
    )  # fmt: skip
    return take_in(dataset, partial(_fill_dataset, found=found, taken=taken, report=report))


def _fill_dataset(dataset: Dataset, found: DigitsJob, taken: bool, report) -> None:
    directory = dataset.directory
    if taken:
        val = found.path / "val_db"
        mean = found.path / MEAN
        spec = imagedb.PrebuiltSpec(
            train=imagedb.PrebuiltSplit(found.path / "train_db"),
            val=imagedb.PrebuiltSplit(val) if val.exists() else None,
            mean=mean if mean.exists() else None,
        )
        built = imagedb.build_prebuilt(spec, directory, report)
        dataset.resize_channels, dataset.resize_height, dataset.resize_width = built.image_shape
        dataset.splits = [_split(directory, name, len(dataset.categories)) for name in built.entries]
        dataset.save(update_fields=["resize_channels", "resize_height", "resize_width", "splits"])
    else:
        pixels = read_mean(found.path / MEAN, dataset.image_shape, EVERYWHERE)
        save_mean(pixels, directory / "mean.npy", directory / "mean.png")
    (directory / "labels.txt").write_text("".join(f"{label}\n" for label in dataset.categories), encoding="utf-8")
    dataset.digests = dataset_services.digests(directory, report)
    dataset.save(update_fields=["digests"])


def _split(directory: Path, name: str, categories: int) -> dict:
    """The entry of `Dataset.splits` for a split, counted from its records. Raises BadInput for a label of no
    category."""
    with RecordReader(directory / f"{name}.rec") as reader:
        counts = Counter(int(reader[number][0]) for number in range(len(reader)))
    if strange := [label for label in counts if not 0 <= label < categories]:
        raise BadInput(f"Its {name}_db has the label {strange[0]}, but labels.txt has only {categories} lines.")
    return asdict(imagedb.BuiltSplit(name, sum(counts.values()), [counts[label] for label in range(categories)]))


def _take_generic(found: DigitsJob, owner: str, records: bool, report) -> Dataset:
    """Import a generic dataset. Its databases are in the job's folder, or elsewhere in the data roots."""
    databases = found.databases()
    if "train" not in databases:
        raise BadInput(f"The place of its databases is unknown{_of_class(found)}.")
    if not records:
        raise BadInput("A generic dataset consists only of its databases, so nothing is left to import.")
    if missing := next((path for path in databases.values() if not path.exists()), None):
        raise BadInput(f"{missing}, from which it was built, is not on this server; copy it there, or link to it.")
    spec = imagedb.PrebuiltSpec(
        train=imagedb.PrebuiltSplit(databases["train"], databases.get("train_labels")),
        val=imagedb.PrebuiltSplit(databases["val"], databases.get("val_labels")) if "val" in databases else None,
        mean=databases.get("mean"),
        roots=(found.path, *settings.DIGITS_DATA_ROOTS),
    )
    columns = {"train": "train_images", "val": "val_images", "mean": "mean_file"}
    sources = {f"prebuilt_{columns.get(name, name)}": str(path) for name, path in databases.items()}
    dataset = Dataset(
        job_id=found.job_id, name=found.name, owner=owner, notes=_notes(found), group_name=found.group,
        kind=dataset_kinds.GENERIC,
        method=PREBUILT.name, **sources,
    )  # fmt: skip
    return take_in(dataset, partial(dataset_services.take_prebuilt, spec=spec, report=report))


def _of_class(found: DigitsJob) -> str:
    return f" (it is a {found.digits_class})" if found.digits_class else ""


def _mean_shape(path: Path) -> tuple[int, int, int] | None:
    """(C, H, W) of a mean image; None if the file does not exist. Raises BadInput if it is damaged."""
    if not path.is_file():
        return None
    try:
        return parse_blob(path.read_bytes()).shape
    except BadInput as damaged:
        raise BadInput(f"{path.name} can't be read: {damaged}.") from damaged


def take_model(found: DigitsJob, owner: str) -> TrainedModel:
    """Import a model, with a snapshot for each .caffemodel. Raises BadInput, or FileExistsError if the id is taken."""
    if found.framework != "caffe":
        raise BadInput(
            UNREADABLE.get(
                found.framework, f"It was trained with {found.framework}; only Caffe's models can be imported."
            )
        )
    dataset = find_job(found.dataset_id, Dataset)
    if dataset is None:
        raise BadInput(
            f"Its dataset, {found.dataset_id or 'which is not named'}, is not on this server; import that first."
        )
    text, weights = found.text("original.prototxt", "train_val.prototxt"), found.snapshots()
    if not text or not weights:
        raise BadInput(
            "It has no network as prototxt (original, train_val) or no .caffemodel; only Caffe's models can be "
            "imported."
        )
    generic = found.is_generic or not dataset.declared_kind.has_categories
    epochs = found.facts.get("train_epochs")
    crop = found.facts.get("crop_size")
    model = TrainedModel(
        job_id=found.job_id, name=found.name, owner=owner, notes=_notes(found), group_name=found.group,
        kind=model_kinds.GENERIC if generic else model_kinds.CLASSIFICATION,
        dataset=dataset, method=NetworkMethod.CUSTOM, custom_network=text, use_mean=_use_mean(found),
        crop_size=crop if isinstance(crop, int) and crop > 0 else None,
        train_epochs=epochs if isinstance(epochs, int) and epochs > 0 else Hyperparameters.epochs,
        batch_size=prototxt.batch_size(text) or BATCH_SIZE,
        engine_used=found.framework,
    )  # fmt: skip
    model.is_imported = True
    try:
        model.full_clean(exclude=["job_id"])
    except ValidationError as invalid:
        raise BadInput("; ".join(invalid.messages)) from invalid
    return take_in(model, partial(_fill_model, found=found, weights=weights))


def _fill_model(model: TrainedModel, found: DigitsJob, weights: list[tuple[int, Path]]) -> None:
    last = found.iterations or weights[-1][0] or 1
    for iteration, path in weights:
        epoch = round(iteration * model.train_epochs / last, 6)
        snapshot = Snapshot(trained_model=model, epoch=epoch, iteration=iteration, folder=f"snapshots/epoch-{epoch:g}")
        snapshot.directory.mkdir(parents=True)
        _write_snapshot(model, path, snapshot.directory)
        snapshot.save()
    for name in ("solver.prototxt", "train_val.prototxt", "deploy.prototxt", "caffe_output.log"):
        if (found.path / name).is_file():
            shutil.copyfile(found.path / name, model.directory / name)


def _write_snapshot(model: TrainedModel, path: Path, directory: Path) -> None:
    try:
        from models_app.networks.export.network_onnx import write_onnx  # a host without a training engine has no onnx
    except ModuleNotFoundError as missing:
        raise BadInput(
            "Importing models needs a worker's packages: pip install --no-deps -r requirements/worker.txt"
        ) from missing
    network, dataset = model.network(), model.dataset
    weights = caffemodel.read_weights(path, network)
    if absent := [weight.name for weight in network.weights() if weight.name not in weights]:
        raise BadInput(f"{path.name} has no {absent[0]} of the shape that the network has.")
    onnx = directory / FILES["onnx"]
    write_onnx(network, weights, onnx, _mean(model), dataset.categories, image_shape=dataset.image_shape)
    save_weights_apart(directory, weights)
    digests = {file.name: sha256(file) for file in directory.iterdir()}
    (directory / DESCRIPTION).write_text(json.dumps({"network": network.to_dict(), "sha256": digests}, indent=2))


def _mean(model: TrainedModel) -> np.ndarray | None:
    """The mean that is subtracted: C×H×W like the network's input, or C×1×1; None if nothing is subtracted."""
    if model.use_mean == "none":
        return None
    mean = np.load(dataset_services.mean_file(model.dataset), allow_pickle=False).astype(np.float32)
    if model.use_mean == "pixel":
        return mean.mean(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(centred(mean, model.network().input_shape))


def _use_mean(found: DigitsJob) -> str:
    """The value of `use_mean` from the trained network's transform_param, which is more reliable than the form."""
    text = found.text("train_val.prototxt")
    if "mean_file" in text:
        return "image"
    return "pixel" if "mean_value" in text else "none"


def _notes(found: DigitsJob) -> str:
    return "\n".join(filter(None, [str(found.facts.get("_notes") or ""), f"Imported from DIGITS: {found.path}"]))
