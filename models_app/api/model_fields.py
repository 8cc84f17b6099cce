"""The field types of the model forms."""

import math
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from datasets.sources.source_fields import readable_or_bad
from digits_project.api.forms import EMPTY, Flag, PathField
from digits_project.api.uploads import BYTE_ORDER_MARK, decoded
from digits_project.common.confined_files import open_file
from digits_project.common.errors import BadInput
from digits_project.jobs.data_roots import readable
from digits_project.jobs.models import LIST_ORDER, Job, Status
from digits_project.jobs.visibility import find_visible, visible
from models_app.networks.pretrained.foreign_weights import READERS, check_foreign
from models_app.networks.pretrained.packaged import PACKAGED, find_packaged
from models_app.pretrained.installed import missing
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import NEWEST, is_epoch, which_snapshot
from models_app.training.snapshots.snapshot_reader import FILES

MAX_NETWORK_TEXT = 8_000_000  # characters of a prototxt, or bytes of its file
MAX_VALUES = 100  # of a list; also the largest number of models that one form can create
MAX_GPU_INDEX = 1023
MAX_CHOICES = 300  # jobs that a page offers
MIN_POSITIVE, MAX_NUMBER = 1e-30, 1e30  # distinguishable from 0 and infinity in float32
ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF"


class Number(serializers.FloatField):
    """A finite number; nan and inf are refused. `min_value` and `max_value` are allowed values, unless `above` or
    `below` is the same number."""

    default_error_messages = {
        "above": "Ensure this value is greater than {bound}.",
        "below": "Ensure this value is less than {bound}.",
    }

    def __init__(self, above: float | None = None, below: float | None = None, **kwargs):
        super().__init__(**kwargs)
        self._excluded = {"above": above, "below": below}

    def to_internal_value(self, data):
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        for key, bound in self._excluded.items():
            if number == bound:
                self.fail(key, bound=bound)
        return number


@extend_schema_field({"oneOf": [{"type": "number", "minimum": NEWEST}, {"type": "string", "enum": ["best", "latest"]}]})
class SnapshotField(serializers.Field):
    """A snapshot: an epoch, `latest` or -1 for the newest, or `best`; results.chosen() finds it."""

    default_error_messages = {
        "invalid": "This must be an epoch, best or latest.",
        "negative": "Ensure this value is greater than or equal to -1.",
    }

    def to_internal_value(self, data):
        try:
            which = which_snapshot(str(data))
        except ValueError:
            self.fail("invalid")
        if is_epoch(which) and not math.isfinite(which):
            self.fail("invalid")
        if is_epoch(which) and which < 0:
            self.fail("negative")
        return which

    def to_representation(self, value):
        return value


class PositiveNumber(Number):
    """A number above 0, large enough that float32, in which engines compute, does not round it to 0."""

    default_error_messages = {"positive": "This must be above 0."}

    def __init__(self, max_value: float = MAX_NUMBER, **kwargs):
        super().__init__(min_value=MIN_POSITIVE, max_value=max_value, **kwargs)

    def to_internal_value(self, data):
        number = super().to_internal_value(data)
        if number <= 0:
            self.fail("positive")
        return number


class NetworkText(serializers.CharField):
    """A Caffe prototxt: as text, or as a file of it (curl's -F custom_network=@net.prototxt)."""

    def __init__(self, **kwargs):
        look = {"base_template": "textarea.html"}
        # Not trimmed, so that line numbers in messages are right.
        super().__init__(max_length=MAX_NETWORK_TEXT, trim_whitespace=False, style=look, **kwargs)

    def run_validation(self, data=empty):
        return super().run_validation(self._read(data) if isinstance(data, UploadedFile) else data)

    def to_internal_value(self, data):
        return super().to_internal_value(data).removeprefix(BYTE_ORDER_MARK)

    def _read(self, file: UploadedFile) -> str:
        if (file.size or 0) > MAX_NETWORK_TEXT:
            raise serializers.ValidationError(f"This file has more than {MAX_NETWORK_TEXT:,} bytes.")
        try:
            file.seek(0)
            return decoded(file.read())
        except UnicodeDecodeError as wrong:
            raise serializers.ValidationError(f"{file.name} is not UTF-8 text. Is it a prototxt?") from wrong


@extend_schema_field(OpenApiTypes.STR)
class ListField(serializers.Field):
    """Values separated by commas, "0.1,0.01", with or without brackets, or a JSON list. The value is a list without
    duplicates.

    `child` is the field of one value; `least` is the minimum number of values.
    """

    default_error_messages = {
        "empty": "The list has no value.",
        "long": f"These are more than {MAX_VALUES} values.",
    }

    def __init__(self, child: serializers.Field, least: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.child = child
        self.least = least

    def to_representation(self, value):
        return ",".join(f"{part:g}" for part in value)

    def to_internal_value(self, data):
        if isinstance(data, str):
            data = data.strip().removeprefix("[").removesuffix("]").split(",")
        parts = data if isinstance(data, list) else [data]
        if len(parts) > MAX_VALUES:
            self.fail("long")
        read = [self.child.run_validation(part.strip() if isinstance(part, str) else part) for part in parts]
        if len(read) < self.least:
            self.fail("empty")
        return list(dict.fromkeys(read))


class Numbers(serializers.CharField):
    """Numbers separated by commas, "50,85". The value is a list of floats."""

    def to_representation(self, value):
        return ",".join(f"{number:g}" for number in value)

    def to_internal_value(self, data):
        text = super().to_internal_value(data)
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise serializers.ValidationError("This must be numbers separated by commas, such as 50,85.")
        return numbers


def job_choices(jobs: QuerySet) -> list[tuple[str, str]]:
    """(id, name) of the newest of these jobs, for the choice of a page; of those that are not Done with the status."""
    rows = jobs.order_by(*LIST_ORDER).values_list("pk", "name", "status")[:MAX_CHOICES]
    return [(pk, name if status == Status.DONE else f"{name} ({status})") for pk, name, status in rows]


class JobOf(serializers.CharField):
    """The id of a visible job of one class, such as Dataset; the value is its row."""

    def __init__(self, job_class: type[Job], **kwargs):
        super().__init__(style={"base_template": "job.html"}, **kwargs)
        self.job_class = job_class

    def candidates(self) -> list[tuple[str, str]]:
        """(id, name) of the jobs that a page offers: the newest, without those that failed."""
        return job_choices(visible(self.job_class).exclude(status__in=(Status.ABORTED, Status.ERROR)))

    def to_internal_value(self, data):
        job = find_visible(super().to_internal_value(data), self.job_class)
        if job is None:
            raise serializers.ValidationError(f"There is no {self.job_class._meta.verbose_name} with this id.")
        return job


@extend_schema_field(OpenApiTypes.STR)
class PretrainedNetwork(serializers.Field):
    """The id of a pretrained model, or the name of installed weights. The value is a dictionary of columns."""

    default_error_messages = {
        "unknown": "There is no pretrained model {name!r}. Send an id, or the name of installed weights: {names}."
    }

    def to_representation(self, value):
        return value

    def to_internal_value(self, data):
        if data == "":
            self.fail("required")
        if isinstance(data, str) and data in PACKAGED:
            if wrong := missing(data):
                raise serializers.ValidationError(wrong)
            return {"packaged_weights": data, "standard_network": PACKAGED[data].network}
        row = find_visible(data, PretrainedModel)
        if row is None:
            self.fail("unknown", name=str(data)[:40], names=", ".join(PACKAGED))
        return {"pretrained": row}


class UseMean(serializers.ChoiceField):
    """none, image, pixel or network; older clients send a flag: false (0, n, …) for none, true (1, y, …) for image."""

    def to_internal_value(self, data):
        sent = str(data).strip().lower()
        flag = sent in Flag.TRUE_VALUES or (False if sent in Flag.FALSE_VALUES else None)
        return super().to_internal_value({True: "image", False: "none", None: data}[flag])


class GpuList(ListField):
    """The numbers of GPUs."""

    def __init__(self, **kwargs):
        super().__init__(serializers.IntegerField(min_value=0, max_value=MAX_GPU_INDEX), least=0, **kwargs)

    def to_internal_value(self, data):
        if isinstance(data, list):
            data = [part for part in data if part not in EMPTY]  # a form without a choice sends these
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.STR)
class GpuField(serializers.Field):
    """ "next" (any free GPU), or the number of a GPU. The value is a list of numbers."""

    def to_representation(self, value):
        return ",".join(map(str, value)) or "next"

    def to_internal_value(self, data):
        return [] if data == "next" else GpuList().run_validation([data])


class WeightsFile(PathField):
    """The path of initial weights: a snapshot of this server (its folder or its files of weights), a .caffemodel, a
    .safetensors or a file of PyTorch with tensors only. The value is the resolved path of a file. It must be in the
    data roots or be a snapshot. Also "packaged:<name>", for weights that are installed."""

    def to_internal_value(self, data):
        if isinstance(data, UploadedFile):
            raise serializers.ValidationError(
                "Weights can't be uploaded with the form. Name a file on the server, under one of its data roots."
            )
        try:
            if packaged := find_packaged(str(data)):
                if wrong := missing(packaged.name):
                    raise BadInput(wrong)
                return str(data)
            path = readable(super().to_internal_value(data), settings.DIGITS_JOBS_DIR)
            return str(self._check(self._there(path)))
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong

    def _there(self, path: Path) -> Path:
        """The path; instead of the weights.npz of a snapshot that has none its model.onnx. Scripts name weights.npz,
        which had all weights in earlier versions."""
        onnx = path.with_name(FILES["onnx"])
        return onnx if path.name == FILES["weights"] and not path.exists() and onnx.exists() else path

    def _check(self, path: Path) -> Path:
        head, roots = None, (*settings.DIGITS_DATA_ROOTS, settings.DIGITS_JOBS_DIR)
        with readable_or_bad(path), suppress(IsADirectoryError), open_file(path, roots) as file:
            head = file.read(8)
            if path.suffix in READERS:
                check_foreign(file, path.suffix)
                return path
        if head is None:
            return self._check(self._there(readable(str(path / FILES["weights"]), settings.DIGITS_JOBS_DIR)))
        known = {".npz": head.startswith(ZIP), ".onnx": bool(head), ".caffemodel": not head.startswith(HDF5)}
        if not known.get(path.suffix):
            raise BadInput(
                f"{path} holds no weights. It must be a snapshot of this server, a .caffemodel, .safetensors or .pth."
            )
        return path
