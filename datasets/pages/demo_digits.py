"""A dataset of handwritten digits, for a first try without images of one's own."""

import csv
import gzip
import io
import zipfile
from importlib import util
from pathlib import Path

import numpy as np
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponseRedirect
from PIL import Image

from datasets import services
from digits_project.accounts import usernames
from digits_project.accounts.roles import Role
from digits_project.api.viewsets import PageView

SIDE, DIGIT_SIDE = 28, 20  # pixels of an image, and of the digit in its middle
DATASET_SIDE = 32
MAX_LEVEL = 16  # of scikit-learn's pixels


def digits_file() -> Path | None:
    """The file of 1,797 digits in scikit-learn, read without importing that library; None if it is not installed."""
    spec = util.find_spec("sklearn")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "datasets/data/digits.csv.gz" if folders else None
    return path if path and path.is_file() else None


def archive(path: Path) -> bytes:
    """The digits as a zip of PNG files in one folder for each category."""
    packed = io.BytesIO()
    with gzip.open(path, "rt") as rows, zipfile.ZipFile(packed, "w") as file:
        for number, row in enumerate(csv.reader(rows)):
            *levels, category = (int(float(value)) for value in row)
            pixels = np.rint(np.array(levels).reshape(8, 8) * (255 / MAX_LEVEL)).astype(np.uint8)
            digit = Image.fromarray(pixels).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)
            image, png = Image.new("L", (SIDE, SIDE)), io.BytesIO()
            image.paste(digit, ((SIDE - DIGIT_SIDE) // 2,) * 2)
            image.save(png, "PNG")
            file.writestr(f"{category}/{number:04}.png", png.getvalue())
    return packed.getvalue()


class DemoDigits(PageView):
    """Build the dataset, and lead to its page."""

    role = Role.USER

    def post(self, request) -> HttpResponseRedirect:
        path = digits_file()
        if path is None:
            raise FileNotFoundError("scikit-learn was removed while the server ran")
        dataset = services.create_dataset(
            usernames.owner(request),
            files={"archive": SimpleUploadedFile("digits.zip", archive(path))},
            name="Handwritten digits",
            archive_train="digits.zip",
            resize_width=DATASET_SIDE,
            resize_height=DATASET_SIDE,
            resize_channels=1,
        )
        return HttpResponseRedirect(dataset.get_absolute_url())
