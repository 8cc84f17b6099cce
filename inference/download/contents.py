"""Everything that is needed to run a snapshot elsewhere, as the members of an archive."""

import json
from contextlib import ExitStack
from functools import cache
from io import BytesIO
from pathlib import Path

from datasets.integrity import check_mean
from datasets.services import mean_file
from digits_project.common.errors import BadInput
from inference import services
from inference.download import standalone
from inference.download.archive_stream import ArchiveStream, StreamMember
from inference.download.bundle import single_file
from models_app.models import Snapshot
from models_app.networks import Network, prototxt
from models_app.training.snapshots.snapshot_check import damaged, read_description, verify
from models_app.training.snapshots.snapshot_reader import DESCRIPTION


def archive(snapshot: Snapshot, form: str) -> ArchiveStream:
    """The snapshot's archive; its files are open already, so that it is whole even if the model is deleted meanwhile.

    Raises DamagedFile if one is missing or is not what was written, BadInput if the snapshot was deleted just now.
    """
    with ExitStack() as opened, services.whole(snapshot):
        verify(snapshot.onnx_file, snapshot.weights_file)
        members = [_from_text(name, text) for name, text in _texts(snapshot).items()]
        for name, path in _files(snapshot).items():
            members.append(_from_file(name, path))
            opened.callback(members[-1].content.close)
        opened.pop_all()  # from here on the archive closes them
    return ArchiveStream(form, members)


def info(snapshot: Snapshot) -> dict:
    """What info.json says. classify.py reads `image`: how an image becomes what the network takes."""
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
        "dataset": model.dataset.name,
        "image": {"width": width, "height": height, "channels": channels, **look},
        "use_mean": model.use_mean,
        "categories": len(model.dataset.categories),
    }


def network(snapshot: Snapshot) -> Network:
    """The network as it was trained, whatever this version would make of the model's form."""
    description = read_description(snapshot.directory)
    try:
        return Network.from_dict(description["network"])
    except (BadInput, KeyError) as wrong:
        raise damaged(snapshot.directory / DESCRIPTION, f"it describes no network ({wrong})") from wrong


@cache
def classify_script() -> str:
    """The source of classify.py."""
    return single_file(standalone)


def _texts(snapshot: Snapshot) -> dict[str, str]:
    texts = {
        "info.json": json.dumps(info(snapshot), indent=2, ensure_ascii=False) + "\n",
        "classify.py": classify_script(),
        "network.prototxt": prototxt.write(network(snapshot)),
    }
    if categories := snapshot.trained_model.dataset.category_names:
        texts["labels.txt"] = "".join(f"{category}\n" for category in categories)
    return texts


def _files(snapshot: Snapshot) -> dict[str, Path]:
    files = {path.name: path for path in (snapshot.onnx_file, snapshot.weights_file)}
    model = snapshot.trained_model
    mean = mean_file(model.dataset)
    if model.use_mean != "none" and mean.exists():  # for people: model.onnx subtracts it itself
        check_mean(model.dataset)
        files["mean.npy"] = mean
    return files


def _from_text(name: str, text: str) -> StreamMember:
    content = text.encode()
    return StreamMember(name, BytesIO(content), len(content))


def _from_file(name: str, path: Path) -> StreamMember:
    return StreamMember(name, path.open("rb"), path.stat().st_size)
