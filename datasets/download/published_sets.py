"""Published image sets: the URLs, digests and readers of their files.

The digests are MD5, because publishers give no other (CIFAR on its page, Fashion-MNIST in its README; MNIST's page
has none, so its digests are torchvision's). The source of each is in its `digests`.
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput

DIGITS = tuple("0123456789")
# The publisher's "T-shirt/top" can't be the name of a folder.
CLOTHES = (
    "T-shirt_top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IDX_IMAGES, IDX_LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"  # uint8 in three dimensions, and in one
CIFAR_SHAPE = (3, 32, 32)
CATEGORY = re.compile(r"[\w .+-]{1,100}")
MAX_LABEL_BYTES = 100_000
DAMAGED = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)

Split = Iterator[tuple[str, np.ndarray]]  # (category, uint8 H×W or H×W×3) of each image


@dataclass(frozen=True)
class Published:
    """A published set: `files` is {name: MD5}, `base` the URL before the names. `read` yields the images of "train" or
    "test" from the folder with the files."""

    base: str
    files: Mapping[str, str]
    read: Callable[[Path, str], Split]
    digests: str = ""


def idx(categories: tuple[str, ...], folder: Path, split: str) -> Split:
    """The format of MNIST: four gzipped files (yann.lecun.com/exdb/mnist). Raises BadInput."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz", IDX_IMAGES)
    labels = _idx(folder / f"{prefix}-labels-idx1-ubyte.gz", IDX_LABELS)
    if len(images) != len(labels) or (len(labels) and labels.max() >= len(categories)):
        raise BadInput(f"{folder}: the numbers of labels and images of {split} differ.")
    for image, label in zip(images, labels, strict=True):
        yield categories[label], image


def _idx(path: Path, magic: bytes) -> np.ndarray:
    try:
        with gzip.open(path) as file:
            if file.read(4) != magic:
                raise BadInput(f"{path} is not an IDX file of {magic[3]} dimension(s).")
            shape = [int(size) for size in np.frombuffer(file.read(4 * magic[3]), ">u4")]
            content = file.read(int(np.prod(shape)))
            return np.frombuffer(content, np.uint8).reshape(shape)
    except DAMAGED as error:
        raise BadInput(f"{path} is damaged: {error}") from error


def cifar10(folder: Path, split: str) -> Split:
    """CIFAR-10's binary version (www.cs.toronto.edu/~kriz/cifar.html): a label, then 32×32 of red, green and blue."""
    batches = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "test": ["test_batch.bin"]}[split]
    return _cifar(folder / "cifar-10-binary.tar.gz", batches, "batches.meta.txt", label_bytes=1)


def cifar100(folder: Path, split: str) -> Split:
    """CIFAR-100's binary version: a coarse and a fine label, then the pixels as in CIFAR-10. The fine label is used."""
    return _cifar(folder / "cifar-100-binary.tar.gz", [f"{split}.bin"], "fine_label_names.txt", label_bytes=2)


def _cifar(path: Path, batches: list[str], names: str, label_bytes: int) -> Split:
    """Read the members with the given names from the archive, without unpacking it to the disk."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            categories = _categories(path, _members(archive, [names])[names])
            found = _members(archive, batches)
            for batch in batches:
                yield from _records(path, found[batch], categories, label_bytes)
    except DAMAGED as error:
        raise BadInput(f"{path} is damaged: {error}") from error


def _members(archive: tarfile.TarFile, names: list[str]) -> dict:
    """Open members by the last part of their paths. Raises ValueError if one is missing."""
    found = {Path(member.name).name: member for member in archive if member.isfile()}
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"it has no {missing[0]}")
    return {name: archive.extractfile(found[name]) for name in names}


def _categories(path: Path, file) -> list[str]:
    categories = file.read(MAX_LABEL_BYTES).decode().split()
    if not categories or not all(CATEGORY.fullmatch(name) and name.strip(".") for name in categories):
        raise BadInput(f"{path} has a category name that can't name a folder.")
    return categories


def _records(path: Path, file, categories: list[str], label_bytes: int) -> Split:
    size = label_bytes + int(np.prod(CIFAR_SHAPE))
    while record := file.read(size):
        if len(record) != size or record[label_bytes - 1] >= len(categories):
            raise BadInput(f"{path} is damaged: a record is cut off, or its category is out of range.")
        pixels = np.frombuffer(record, np.uint8, offset=label_bytes).reshape(CIFAR_SHAPE)
        yield categories[record[label_bytes - 1]], pixels.transpose(1, 2, 0)


def _of_mnist(categories: tuple[str, ...]) -> Callable[[Path, str], Split]:
    return lambda folder, split: idx(categories, folder, split)


PUBLISHED = {
    "mnist": Published(
        base="https://ossci-datasets.s3.amazonaws.com/mnist/",
        files={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        read=_of_mnist(DIGITS),
        digests="torchvision, torchvision/datasets/mnist.py",
    ),
    "fashion-mnist": Published(
        base="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        files={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        read=_of_mnist(CLOTHES),
        digests="github.com/zalandoresearch/fashion-mnist, README.md",
    ),
    "cifar10": Published(
        base="https://www.cs.toronto.edu/~kriz/",
        files={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        read=cifar10,
        digests="www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "cifar100": Published(
        base="https://www.cs.toronto.edu/~kriz/",
        files={"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
        read=cifar100,
        digests="www.cs.toronto.edu/~kriz/cifar.html",
    ),
}
