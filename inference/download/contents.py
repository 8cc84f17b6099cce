"""The members of a snapshot's archive: everything that is needed to run it elsewhere."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from datasets.integrity import check_mean
from datasets.services import mean_file
from digits_project.common.errors import BadInput
from digits_project.common.protobuf import BadMessage
from digits_project.jobs.visibility import is_visible
from inference import services
from inference.download.archive_stream import ArchiveStream, StreamMember
from inference.download.calibrated_model import calibrated_model
from models_app.models import Snapshot
from models_app.networks import Network, TimmNetwork, prototxt
from models_app.pretrained.importing import NETWORK_FILE
from models_app.training.hyperparameters import MEAN_OF_DATASET, NETWORK
from models_app.training.snapshots.snapshot_check import damaged, read_description, verify, weight_files
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES, load_weights, save_arrays

ROOT = Path(__file__).resolve().parents[2]
CLASSIFY = Path(__file__).with_name("classify.py")
# The modules that classify.py imports, directly or through others. They go into the archive as they are.
CLASSIFY_MODULES = (
    "datasets.imagedb.images.av1",
    "datasets.imagedb.images.avif",
    "datasets.imagedb.images.boxes",
    "datasets.imagedb.images.decoding",
    "datasets.imagedb.images.depth",
    "datasets.imagedb.images.formats",
    "datasets.imagedb.images.heic",
    "datasets.imagedb.images.size_limits",
    "datasets.imagedb.images.mending",
    "datasets.imagedb.images.opening",
    "datasets.imagedb.images.pixel_budget",
    "datasets.imagedb.images.resize",
    "datasets.imagedb.images.tiff",
    "datasets.imagedb.images.transparency",
    "digits_project.common.errors",
    "digits_project.common.onnx_runtime",
    "digits_project.common.resources",
    "inference.download.standalone",
    "inference.engine.heat",
    "inference.engine.joint_runs",
    "inference.engine.predictor",
    "inference.engine.saliency",
)


def archive(snapshot: Snapshot, form: str, temperature: float | None = None) -> ArchiveStream:
    """The snapshot's archive. Its files are open already, so it is complete even if the model is deleted meanwhile.

    With a temperature model.onnx gives calibrated scores. Raises DamagedFile if a file is missing or damaged, BadInput
    if the snapshot was just deleted.
    """
    with ExitStack() as opened, services.whole(snapshot):
        verify(*weight_files(snapshot.directory))
        members = [_from_text(name, text) for name, text in _texts(snapshot, temperature).items()]
        for member in _files(snapshot, temperature):
            opened.callback(member.content.close)
            members.append(member)
        opened.pop_all()  # from here on the archive closes them
    return ArchiveStream(form, members)


def onnx_file(snapshot: Snapshot, temperature: float | None = None) -> BinaryIO:
    """The opened model.onnx of a snapshot; with a temperature, one that gives calibrated scores. Raises what archive()
    raises."""
    with services.whole(snapshot):
        verify(*weight_files(snapshot.directory))
        return _opened_model(snapshot, temperature)


def _opened_model(snapshot: Snapshot, temperature: float | None) -> BinaryIO:
    if temperature is None:
        return snapshot.onnx_file.open("rb")
    model = snapshot.trained_model
    try:
        return calibrated_model(snapshot.onnx_file, temperature, len(model.dataset.categories), model.directory)
    except BadMessage as wrong:
        raise damaged(snapshot.onnx_file, wrong) from wrong


def info(snapshot: Snapshot, temperature: float | None = None) -> dict:
    """The contents of info.json. classify.py reads `image`: how an image is brought to the dataset's size and colours.
    `input_resize` says how such images are scaled for model.onnx, which has it as a property too."""
    model = snapshot.trained_model
    channels, height, width = model.dataset.image_shape
    look = {"resize_mode": model.dataset.resize_mode} | model.dataset.look
    return {
        "job_id": model.pk,
        "name": model.name,
        "epoch": snapshot.epoch,
        "created": snapshot.created_at.isoformat(timespec="seconds"),
        "framework": model.framework,
        "dataset_id": model.dataset_id,
        "dataset": model.dataset.name if is_visible(model.dataset) else "",
        "image": {"width": width, "height": height, "channels": channels, **look},
        **_resized(snapshot),
        "use_mean": model.use_mean,
        "categories": len(model.dataset.categories),
        **_normalization(snapshot),
        **_calibration(snapshot, temperature),
    }


def _calibration(snapshot: Snapshot, temperature: float | None) -> dict:
    """That model.onnx gives calibrated scores, if it does, and below which of them classify.py calls an answer
    unsure."""
    if temperature is None:
        return {}
    return {"calibrated": True, "temperature": temperature, "unsure_below": snapshot.unsure_below}


def _resized(snapshot: Snapshot) -> dict:
    """How images are scaled from the dataset's size to the network's, if they are."""
    resize = read_description(snapshot.directory).get("input_resize")
    return {"input_resize": resize} if resize else {}


def _normalization(snapshot: Snapshot) -> dict:
    """The network's own normalization, if the training used it."""
    own = network(snapshot).normalization if snapshot.trained_model.use_mean == NETWORK else None
    return {"normalization": own.to_dict()} if own else {}


def network(snapshot: Snapshot) -> Network:
    """The network as it was trained, from the snapshot, not built again from the model's form."""
    description = read_description(snapshot.directory)
    try:
        return Network.from_dict(description["network"])
    except (BadInput, KeyError) as wrong:
        raise damaged(snapshot.directory / DESCRIPTION, f"it does not describe a network ({wrong})") from wrong


@cache
def classify_files() -> dict[str, str]:
    """classify.py, and the folder digits_classify with its modules; {name: source}.

    Each package gets an empty __init__.py: without one, another package called `datasets` that is installed where
    classify.py runs would be taken.
    """
    sources: dict[str, str] = {}
    for module in CLASSIFY_MODULES:
        file = Path(*module.split(".")).with_suffix(".py")
        sources |= {f"digits_classify/{folder}/__init__.py": "" for folder in file.parents if folder.name}
        sources[f"digits_classify/{file}"] = (ROOT / file).read_text(encoding="utf-8")
    return {CLASSIFY.name: CLASSIFY.read_text(encoding="utf-8")} | dict(sorted(sources.items()))


def _texts(snapshot: Snapshot, temperature: float | None) -> dict[str, str]:
    texts = {
        "info.json": json.dumps(info(snapshot, temperature), indent=2, ensure_ascii=False) + "\n",
        **classify_files(),
        **_network_text(network(snapshot)),
    }
    if categories := snapshot.trained_model.dataset.category_names:
        texts["labels.txt"] = "".join(f"{category}\n" for category in categories)
    return texts


def _network_text(trained: Network) -> dict[str, str]:
    """The network as prototxt; one that can't be written so, of the timm library, as JSON."""
    if isinstance(trained, TimmNetwork):
        return {NETWORK_FILE: json.dumps(trained.to_dict(), indent=2) + "\n"}
    return {"network.prototxt": prototxt.write(trained)}


def _files(snapshot: Snapshot, temperature: float | None) -> Iterator[StreamMember]:
    """model.onnx, weights.npz, and if the training subtracted a mean of the dataset, mean.npy: for people only, because
    model.onnx subtracts it itself."""
    yield _from_open(snapshot.onnx_file.name, _opened_model(snapshot, temperature))
    yield _weights(snapshot)
    model = snapshot.trained_model
    mean = mean_file(model.dataset)
    if model.use_mean in MEAN_OF_DATASET and mean.exists():
        check_mean(model.dataset)
        yield _from_file(mean)


def _weights(snapshot: Snapshot) -> StreamMember:
    """weights.npz with all weights, which the snapshot's folder has only once, in model.onnx. It is written to a file
    without a name, because the weights of a network can take a gigabyte."""
    names = [weight.name for weight in network(snapshot).weights()]
    content = TemporaryFile(dir=snapshot.trained_model.directory)  # noqa: SIM115 - the archive closes it
    try:
        save_arrays(content, load_weights(snapshot.directory, names))
    except BadInput as wrong:
        content.close()
        raise damaged(snapshot.onnx_file, wrong) from wrong
    size = content.tell()
    content.seek(0)
    return StreamMember(FILES["weights"], content, size)


def _from_text(name: str, text: str) -> StreamMember:
    content = text.encode()
    return StreamMember(name, BytesIO(content), len(content))


def _from_file(path: Path) -> StreamMember:
    return _from_open(path.name, path.open("rb"))


def _from_open(name: str, content: BinaryIO) -> StreamMember:
    return StreamMember(name, content, os.fstat(content.fileno()).st_size)
