"""The images of a dataset: a page with all of them, one large, and the pictures themselves."""

from collections.abc import Callable

from django.http import FileResponse, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from rest_framework.exceptions import NotFound
from rest_framework.serializers import CharField, IntegerField
from rest_framework.views import APIView

from datasets.contents import gallery
from datasets.models import Dataset
from digits_project.accounts.viewer import without_paths
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.common.errors import DamagedFile
from digits_project.jobs.api.views import fetch

FOR_A_DAY = "private, max-age=86400"


class ImagesQuery(Form):
    """The query string that chooses images of a dataset."""

    split = CharField(default="train", help_text="train, val or test.")
    category = IntegerField(
        default=None, min_value=0, max_value=2**31 - 1, help_text="The number of a category; empty: all."
    )
    text = CharField(default="", max_length=200, help_text="Part of the path of an image's file; empty: any.")
    page = IntegerField(default=1, min_value=1, max_value=2**31 - 1, help_text="The page of sixty images, from 1.")


class DatasetImages(APIView):
    """Images of a dataset: of a split, of a category, or with a text in the path of their file."""

    schema = None

    def get(self, request, job_id, format=None):
        dataset, asked = fetch(Dataset, job_id), ImagesQuery.valid_values(request.query_params)
        chosen = (asked["split"], asked["category"], asked["page"], asked["text"])
        page = _read(gallery.page, dataset, *chosen)
        labels = _read(gallery.labels, dataset, asked["split"]) if dataset.categories else None
        images = [
            {"record": record, "category": gallery.category_of(dataset, labels, record)} for record in page.records
        ]
        data = {
            "split": asked["split"],
            "page": page.number,
            "pages": page.pages,
            "count": page.images,
            "images": images,
        }
        return PageResponse(
            data,
            "datasets/images.html",
            dataset=dataset,
            asked=asked,
            address=urlencode(_given(asked)),
            splits=[split["name"] for split in dataset.splits],
            categories=list(enumerate(dataset.category_names)),
            version=gallery.version(dataset),
        )


class DatasetImage(APIView):
    """One image of a dataset, with what is known of it, and its neighbours among the images that the query chooses."""

    schema = None

    def get(self, request, job_id, split, number, format=None):
        dataset, asked = fetch(Dataset, job_id), ImagesQuery.valid_values(request.query_params)
        found = _read(gallery.matching, dataset, split, asked["category"], asked["text"])
        labels = _read(gallery.labels, dataset, split) if dataset.categories else None
        place = _place(found, number)
        data = {
            "split": split,
            "record": number,
            "category": gallery.category_of(dataset, labels, number),
            "path": without_paths(_read(gallery.source_path, dataset, split, number)),
            "bytes": _read(gallery.record_bytes, dataset, split, number),
            "width": dataset.resize_width if dataset.declared_kind.is_resized else None,
            "height": dataset.resize_height if dataset.declared_kind.is_resized else None,
            "before": int(found[place - 1]) if place else None,
            "after": int(found[place + 1]) if place is not None and place + 1 < len(found) else None,
            "place": None if place is None else place + 1,
            "count": len(found),
        }
        return PageResponse(
            data,
            "datasets/image.html",
            dataset=dataset,
            address=urlencode(_given(asked | {"split": split})),
            page_address=urlencode(_given(asked | {"split": split, "page": (place or 0) // gallery.A_PAGE + 1})),
            version=gallery.version(dataset),
        )


class DatasetPicture(APIView):
    """A picture of a dataset: `draw(dataset, …)` gives its bytes and their media type."""

    schema = None
    draw: Callable[..., tuple[bytes, str]] = staticmethod(gallery.image)

    def get(self, request, job_id, **which):
        content, media_type = _read(self.draw, fetch(Dataset, job_id), **which)
        return HttpResponse(content, content_type=media_type, headers={"Cache-Control": FOR_A_DAY})


class MeanPicture(APIView):
    """The mean of the training images."""

    schema = None

    def get(self, request, job_id):
        try:
            file = (fetch(Dataset, job_id).directory / "mean.png").open("rb")
        except OSError:
            raise NotFound("There is no mean image yet.") from None
        return FileResponse(file, content_type="image/png", headers={"Cache-Control": FOR_A_DAY})


def picture_address(dataset: Dataset, split: str, number: int) -> str:
    """The address of a record's thumbnail."""
    return f"{reverse('dataset-thumbnail', args=[dataset.pk, split, number])}?{gallery.version(dataset)}"


def strip(dataset: Dataset) -> tuple[bytes, str]:
    """A few images side by side."""
    return gallery.strip(dataset), "image/png"


def _given(asked: dict) -> dict:
    """The values that differ from those of an empty query string."""
    return {name: value for name, value in asked.items() if value not in (None, "") and (name, value) != ("page", 1)}


def _place(found, number: int) -> int | None:
    """The index of a record among those that match; None if it is not one of them."""
    if isinstance(found, range):
        return number if number in found else None
    place = int(found.searchsorted(number))
    return place if place < len(found) and found[place] == number else None


def _read(read: Callable, *what, **further):
    """read(…), with the errors of a response. Raises NotFound or Conflict."""
    try:
        return read(*what, **further)
    except gallery.NoSuchImage as unknown:
        raise NotFound(str(unknown)) from unknown
    except DamagedFile as damaged:
        raise Conflict(str(damaged)) from damaged
