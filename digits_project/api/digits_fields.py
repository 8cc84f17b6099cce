"""Fields that DIGITS's forms had and this server's lack: they can be sent with their default value only."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from django.core.files.uploadedfile import UploadedFile

TRUE = ("y", "yes", "true", "on", "1")
FALSE = ("n", "no", "false", "off", "0")


class DigitsField(NamedTuple):
    """A field of DIGITS: the values that change nothing, and a message that says what to do instead of the others."""

    passes: Callable[[str], bool]
    instead: str = ""


def one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def zero(value: str) -> bool:
    try:
        return float(value) == 0
    except ValueError:
        return False


def anything(value: str) -> bool:
    return True


def nothing(value: str) -> bool:
    return False


off, on, none = one_of(*FALSE), one_of(*TRUE), one_of("none")

_PYTHON_LAYER = "This server runs no Python layers. Leave the field out and describe the network with layers of Caffe."
_RECORDS = "This server writes RecordIO, uncompressed. Send {}; encoding chooses how each image is compressed."

DATASET = {
    "backend": DigitsField(one_of("lmdb"), _RECORDS.format("lmdb")),
    "compression": DigitsField(none, _RECORDS.format("none")),
    # Only method=s3 used these. `method` itself is a field here, and its message lists the methods.
    "s3_endpoint_url": DigitsField(anything),
    "s3_bucket": DigitsField(anything),
    "s3_path": DigitsField(anything),
    "s3_accesskey": DigitsField(anything),
    "s3_secretkey": DigitsField(anything),
    "s3_keepcopiesondisk": DigitsField(anything),
    "s3_pct_val": DigitsField(anything),
    "s3_pct_test": DigitsField(anything),
    "s3_train_min_per_class": DigitsField(anything),
    "s3_train_max_per_class": DigitsField(anything),
}

GENERIC_DATASET = {
    "force_same_shape": DigitsField(anything),  # always checked; a database of several shapes ends as Error
}

MODEL = {
    "shuffle": DigitsField(
        on, "This server shuffles the training images in every epoch, in an order that random_seed decides. Send 1."
    ),
    "python_layer_from_client": DigitsField(off, _PYTHON_LAYER),
    "python_layer_client_file": DigitsField(nothing, _PYTHON_LAYER),
    "python_layer_server_file": DigitsField(nothing, _PYTHON_LAYER),
    "traces_interval": DigitsField(zero, "This server writes no traces of TensorFlow. Send 0."),
}

INFERENCE = {
    "dont_resize": DigitsField(off, "This server resizes every image to the size of the dataset. Send 0."),
}


def refused(fields: Mapping[str, DigitsField], data: Mapping) -> dict[str, list[str]]:
    """{field: [message]} for each field of DIGITS with a value that this server does not support."""
    return {name: [field.instead] for name, field in fields.items() if name in data and not _passes(field, data[name])}


def _passes(field: DigitsField, value: object) -> bool:
    """Whether the value means the default. A blank field always does."""
    if isinstance(value, UploadedFile):
        return field.passes("a file")
    text = "" if value is None else str(value).strip().lower()
    return not text or field.passes(text)
