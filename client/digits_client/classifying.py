"""Sends images to a model, several at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Union

from digits_client.connection import Connection
from digits_client.errors import ApiError
from digits_client.progress import Bar
from digits_client.results import Classification, predictions_of

ONE = "/models/images/classification/classify_one.json"
AT_ONCE = 4  # requests; the server computes images that arrive together as one batch
UNREADABLE = (422, 500)  # statuses for an image that can't be decoded; 500 with the wire format of DIGITS
URLS = ("http://", "https://")

Image = Union[str, bytes, "os.PathLike[str]"]
"""A path of this computer, the bytes of an image file, or an http(s) URL that the server fetches."""


def classify(
    connection: Connection,
    model_id: str,
    images: Iterable[Image],
    snapshot: float | str | None,
    unsure_below: float | None,
    *,
    skip_unreadable: bool,
    progress: bool,
) -> Sequence[Classification]:
    """The classification of each image, in their order."""
    if isinstance(images, (str, bytes, os.PathLike)):
        raise TypeError("classify() takes a list of images; classify_one() takes a single one.")
    chosen = list(images)

    def one(number: int) -> Classification | None:
        try:
            return classify_one(connection, model_id, chosen[number], snapshot, unsure_below, f"image {number + 1}")
        except ApiError as error:
            if skip_unreadable and error.status in UNREADABLE:
                return None
            raise

    found: list[Classification] = []
    with Bar("Classify", enabled=progress) as bar, ThreadPoolExecutor(AT_ONCE) as threads:
        for number, result in enumerate(threads.map(one, range(len(chosen))), 1):
            bar.show("", number / len(chosen), f"{number} of {len(chosen)}", final=number == len(chosen))
            found += [] if result is None else [result]
    return found


def classify_one(
    connection: Connection,
    model_id: str,
    image: Image,
    snapshot: float | str | None,
    unsure_below: float | None = None,
    name: str = "image",
) -> Classification:
    """The classification of one image. `name` names an image that is given as bytes."""
    fields = {"job_id": model_id, "snapshot_epoch": snapshot, **image_field(image)}
    response = connection.request("POST", ONE, params={"unsure_below": unsure_below}, fields=fields)
    epoch, unsure = response.headers.get("X-Digits-Snapshot"), response.headers.get("X-Digits-Unsure")
    return Classification(
        name if isinstance(image, bytes) else os.fspath(image),
        predictions_of(response.json()["predictions"]),
        None if epoch is None else float(epoch),
        None if unsure is None else unsure == "true",
    )


def image_field(image: Image) -> Mapping[str, Any]:
    """The field of a form that holds an image."""
    if isinstance(image, str) and image.startswith(URLS):
        return {"image_url": image}
    return {"image_file": image if isinstance(image, bytes) else Path(image)}


def list_fields(images: Iterable[str], folder: str, most: int | None) -> Mapping[str, Any]:
    """The fields of a form that name images of the server."""
    text = "".join(f"{path}\n" for path in images)
    return {"image_list": text.encode("utf-8", "surrogateescape"), "image_folder": folder, "num_test_images": most}
