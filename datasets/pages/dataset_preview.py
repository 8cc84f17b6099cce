"""A look at the images of a form before its dataset is built: what would become of them, as a part of the page."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from django.shortcuts import render
from PIL import Image
from rest_framework.views import APIView

from datasets.api.page_texts import ENCODINGS
from datasets.api.serializers import ClassificationDatasetForm
from datasets.contents.category_bars import CategoryBar, bars
from datasets.imagedb import FolderSource
from datasets.imagedb.images.formats import data_url
from datasets.imagedb.split import NAMES, share_sizes
from datasets.imagedb.surveying.proposals import bytes_per_image, propose_size, resized
from datasets.imagedb.surveying.survey import Survey
from datasets.models import ResizeMode
from datasets.pages.survey_cache import surveyed
from datasets.sources import FOLDER
from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import without_paths
from digits_project.common.errors import BadInput

MAX_PICTURED = 60  # categories in the list
SHOWN_SIDE = 160  # pixels at which resized examples are shown
IMAGE_FIELDS = ("folder_train", "archive_train", "upload_train", "folder_val", "folder_test")


class Mode(NamedTuple):
    """A resize mode with the examples in it, as addresses of pictures, and the bytes of an image by encoding."""

    name: str
    label: str
    pictures: list[str]
    sizes: list[tuple[str, int]]


class Division(NamedTuple):
    """How many images of each category each split would get."""

    rows: list[CategoryBar]
    totals: list[tuple[str, int]]
    left_out: list[str]
    more: int


class DatasetPreview(APIView):
    """What a dataset of these images would be: its categories, its splits, and how its images would look."""

    role = Role.USER
    schema = None

    def post(self, request):
        values, wrong = valid_values({**dict(request.data.items()), "dataset_name": "preview"})
        context: dict = {"problems": without_paths(wrong)}
        try:
            if values:
                context |= described(values, usernames.owner(request))
        except BadInput as bad:
            context["problems"] = without_paths([str(bad)])
        return render(request._request, "datasets/preview.html", context)


def valid_values(data: dict) -> tuple[dict, list[str]]:
    """The values of a form, with defaults for wrong fields; or the errors of the fields that choose images."""
    data = {name: value for name, value in data.items() if isinstance(value, str)}
    form = ClassificationDatasetForm(data=data)
    if form.is_valid():
        return form.validated_data, []
    wrong = [str(message) for name in IMAGE_FIELDS for message in form.errors.get(name, ())]
    if wrong:
        return {}, wrong
    form = ClassificationDatasetForm(data={name: value for name, value in data.items() if name not in form.errors})
    return (form.validated_data, []) if form.is_valid() else ({}, [])


def described(values: dict, owner: str) -> dict:
    """The variables of the template for a valid form with a source of folders. Raises BadInput."""
    sources = sources_of(values, owner)
    if not sources:
        return {}
    found = surveyed(sources)
    size = values["resize_width"], values["resize_height"], values["resize_channels"]
    division = divided(found, values)
    return {
        "survey": found,
        "categories": [
            (category, [data_url(p, "image/jpeg") for p in category.pictures])
            for category in found.categories[:MAX_PICTURED]
        ],
        "more_categories": max(0, len(found.categories) - MAX_PICTURED),
        "skipped_files": without_paths(found.skipped_files),
        "warnings": without_paths(found.warnings),
        "division": division,
        "proposed": propose_size(found),
        "size": size,
        "modes": [_mode(found, *size, mode) for mode in ResizeMode],
        "chosen_mode": values["resize_mode"],
        "chosen_encoding": values["encoding"],
        "images": sum(number for _, number in division.totals),
    }


def sources_of(values: dict, owner: str) -> dict[str, FolderSource]:
    """The folders and archives that a form names, by split; {} for a form with another method. Raises BadInput."""
    if values["method"] != FOLDER.name:
        return {}
    received = values.get("files", {}).get("received")
    if received and permissions.has_accounts() and received.owner != owner:
        raise BadInput("This is the upload of another user.")
    if received:
        sources = {"train": FolderSource(received.content, name=values["archive_train"], sent=True)}
    else:
        sources = {"train": FolderSource(Path(values["folder_train"]), name=values["folder_train"])}
    for split in NAMES[1:]:
        if folder := values[f"folder_{split}"]:
            sources[split] = FolderSource(Path(folder), name=folder)
    return sources


def divided(found: Survey, values: dict) -> Division:
    """The images of each category and split as a build would divide them, apart from copies and damaged images."""
    names, left_out = [], []
    counts: dict[str, list[int]] = {name: [] for name in NAMES}
    least, most = values["folder_train_min_per_class"], values["folder_train_max_per_class"]
    shares = {name: 0 if name in found.splits else values[f"folder_pct_{name}"] for name in NAMES[1:]}
    for category in found.categories:
        in_train = category.counts.get("train", 0)
        if in_train < least:
            left_out.append(category.name)
            continue
        names.append(category.name)
        dealt = share_sizes(min(in_train, most or in_train), shares["val"], shares["test"])
        for name, number in zip(NAMES, dealt, strict=True):
            counts[name].append(category.counts.get(name, 0) if name in found.splits and name != "train" else number)
    used = {name: numbers for name, numbers in counts.items() if sum(numbers)}
    totals = [(name, sum(numbers)) for name, numbers in used.items()]
    return Division(bars(names[:MAX_PICTURED], used), totals, left_out, max(0, len(names) - MAX_PICTURED))


def _mode(found: Survey, width: int, height: int, channels: int, mode: ResizeMode) -> Mode:
    example = resized(found, width, height, channels, mode.value)
    sizes = bytes_per_image(example)
    return Mode(
        mode.value,
        str(mode.label),
        [data_url(_jpeg(picture), "image/jpeg") for picture in example.pictures],
        [(label, sizes[encoding]) for encoding, label in ENCODINGS.items()],
    )


def _jpeg(picture: Image.Image) -> bytes:
    small, file = picture.convert("RGB"), BytesIO()
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    small.save(file, "JPEG", quality=85)
    return file.getvalue()
