"""Inference on one image, and finding and loading snapshots."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path

import numpy as np
from django.conf import settings

from datasets.imagedb.images import confined, decoding
from digits_project.accounts.viewer import limited_user
from digits_project.common import row_cache
from digits_project.common.errors import BadInput, DamagedFile
from digits_project.common.job_ids import is_job_id
from digits_project.common.onnx_runtime import UnusableModel, open_accelerated
from digits_project.jobs.visibility import find_visible, visible
from digits_project.monitoring.metrics import LOADED_SNAPSHOTS
from inference import cache
from inference.certainty import how_to_fit
from inference.engine.predictor import Predictor, plain, ranked
from inference.engine.temperature import calibrated
from models_app.models import TrainedModel
from models_app.results import Snapshot, Which, chosen, fitted, is_epoch
from models_app.training.snapshots.snapshot_check import damaged, missing, verify

MAX_NUMBERS = 8_000_000  # of the outputs for one image; 21 categories for each of 500×500 pixels are 5 million
EPOCH_DIGITS = 4  # of_epoch takes epochs that differ by less for the same
INSTEAD = "use infer_one or infer_many to get the numbers."
OF_IMAGES = ("resize_width", "resize_height", "resize_channels", "resize_mode", "alpha_background", "white_level")
# Each of these columns stands in the table's trigger (migration row_changes), because find_snapshot caches rows.
OF_DATASET = ("name", "kind", "categories", *OF_IMAGES)
# The columns that inference needs. Loading all columns would take longer than the inference.
USED = ("epoch", "folder", "trained_model__name", *(f"trained_model__dataset__{column}" for column in OF_DATASET))


class NoSuchModel(Exception):
    """There is no model with this id."""


class NoSnapshot(Exception):
    """The model has no snapshot yet."""


class NoSuchSnapshot(Exception):
    """The model has snapshots, but none of this epoch."""


class NotCalibrated(Exception):
    """No temperature was fitted for the snapshot."""


class CanNotClassify(Exception):
    """The snapshot's outputs are not scores of its dataset's categories."""


def find_snapshot(job_id: object, which: Which = None) -> Snapshot:
    """A model's snapshot as results.chosen() decides, with model and dataset: one query, in the web process none if it
    is cached.

    Raises NoSuchModel, NoSnapshot or NoSuchSnapshot.
    """
    if not is_job_id(job_id):
        raise NoSuchModel(job_id)
    user = limited_user()
    key = "snapshot", job_id, round(which, EPOCH_DIGITS) if is_epoch(which) else which, user and (user.pk,)
    snapshot = row_cache.cached(key, lambda: _read_snapshot(job_id, which, user))
    if snapshot is None:
        raise _why_none(job_id, which)
    return snapshot


def _read_snapshot(job_id: str, which: Which, user: object) -> Snapshot | None:
    snapshots = Snapshot.objects.filter(trained_model=job_id)
    if user:
        snapshots = snapshots.filter(trained_model__in=visible(TrainedModel))
    snapshots = snapshots.select_related("trained_model__dataset").only(*USED)
    return chosen(snapshots, which).annotate(**fitted()).first()


def _why_none(job_id: str, which: Which) -> Exception:
    model = find_visible(job_id, TrainedModel)
    if model is None:
        return NoSuchModel(job_id)
    message = model.no_snapshot_at(which)
    return NoSuchSnapshot(message) if model.snapshots.exists() else NoSnapshot(message)


def scores_of_one(snapshot: Snapshot, pixels: np.ndarray) -> np.ndarray:
    """The scores, float32 1×categories, of one image as reader() reads it. Raises CanNotClassify."""
    return scores(snapshot, predictor(snapshot), pixels[None])


def ranking(snapshot: Snapshot, scores: np.ndarray, temperature: float = 1.0) -> list[tuple[str, float]]:
    """[(category, percent)] by the scores of one image, 1×categories, best first, at most five; at a temperature other
    than 1 the percentages are calibrated."""
    shown = scores if temperature == 1 else calibrated(scores, temperature)
    return ranked(shown[0], snapshot.trained_model.dataset.category_names)


def temperature_of(snapshot: Snapshot) -> float:
    """The temperature that calibrates a snapshot. Raises NotCalibrated."""
    if snapshot.temperature is None:
        name = f"{snapshot.trained_model.name} is not calibrated at epoch {snapshot.epoch:g}"
        raise NotCalibrated(f"{name}. {how_to_fit(snapshot)}")
    return snapshot.temperature


def infer(snapshot: Snapshot, pixels: np.ndarray) -> dict[str, list]:
    """{layer: values} of one image as reader() reads it, 1×…, of every output of the network. Raises BadInput."""
    return as_lists(snapshot, predictor(snapshot).outputs(pixels[None]))


def as_lists(snapshot: Snapshot, outputs: dict[str, np.ndarray]) -> dict[str, list]:
    """{layer: values} of one image as lists. Raises BadInput if they would take too much memory: a number of four bytes
    takes forty as an object and its text."""
    numbers = sum(values.size for values in outputs.values())
    if numbers > MAX_NUMBERS:
        raise BadInput(
            f"{snapshot.trained_model.name} outputs {numbers:,} numbers for an image, and a response has at most "
            f"{MAX_NUMBERS:,}; download the model to get them all."
        )
    return {name: plain(values) for name, values in outputs.items()}


def predictor(snapshot: Snapshot) -> Predictor:
    """The loaded snapshot. Raises BadInput if it was deleted meanwhile, DamagedFile if a file is damaged."""
    with whole(snapshot):
        return cache.predictor(snapshot.onnx_file, load)


def load(onnx_file: Path) -> Predictor:
    """Check a snapshot's file and load it as the settings say. Raises FileNotFoundError or DamagedFile."""
    verify(onnx_file)
    opener = partial(
        open_accelerated, provider=settings.DIGITS_INFERENCE_PROVIDER, device=settings.DIGITS_INFERENCE_DEVICE
    )
    try:
        loaded = Predictor(onnx_file, opener=opener)
    except UnusableModel as unusable:
        raise damaged(onnx_file, "ONNX Runtime can't load it") from unusable
    LOADED_SNAPSHOTS.add(loaded.runs_on)
    return loaded


@contextmanager
def whole(snapshot: Snapshot) -> Iterator[None]:
    """A context for code that reads the snapshot's files: raises BadInput if the snapshot was deleted meanwhile,
    DamagedFile if its row exists but a file is missing."""
    try:
        yield
    except (FileNotFoundError, DamagedFile) as wrong:
        if not Snapshot.objects.filter(pk=snapshot.pk).exists():
            raise BadInput(f"The snapshot of epoch {snapshot.epoch:g} was deleted just now.") from wrong
        if isinstance(wrong, DamagedFile):
            raise
        raise missing(snapshot.onnx_file) from wrong


def reader(snapshot: Snapshot, opener: Callable[[str | Path], FileIO] | None = None) -> Callable:
    """A function that reads an image (Path or BinaryIO) as uint8 H×W×C, or raises imagedb.BadImage. It does not use the
    database. `opener` opens a Path; by default only in the data roots.

    The image is decoded and resized as the training images were; mean and softmax are in the model.
    """
    dataset = snapshot.trained_model.dataset
    channels, height, width = dataset.image_shape
    return partial(
        decoding.read_array,
        width=width,
        height=height,
        channels=channels,
        resize_mode=dataset.resize_mode,
        opener=opener or confined.opener(settings.DIGITS_DATA_ROOTS),
        **dataset.look,
    )


def scores(snapshot: Snapshot, predictor: Predictor, pixels: np.ndarray) -> np.ndarray:
    """Scores, float32 N×categories, of images, uint8 N×H×W×C. Raises CanNotClassify.

    If the network has more outputs than there are categories, the further outputs are dropped.
    """
    model, categories = snapshot.trained_model, len(snapshot.trained_model.dataset.categories)
    if not categories:
        raise CanNotClassify(f"{model.name} is not a classifier: its dataset has no categories; {INSTEAD}")
    found = predictor.scores(pixels)
    if found.shape[1] < categories:
        raise CanNotClassify(
            f"{model.name} outputs {found.shape[1]} numbers for an image, but its dataset has {categories} "
            f"categories; {INSTEAD}"
        )
    if not np.isfinite(found).all():
        raise CanNotClassify(f"{model.name} at epoch {snapshot.epoch:g} outputs values that are not numbers.")
    return found[:, :categories]
