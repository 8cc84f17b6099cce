"""The specification of a build, and its result: frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from datasets.imagedb.group_names import AUTO, COLUMN, NO_COLUMN, check_pattern
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.images.resize import MAX_SIDE
from datasets.imagedb.images.transparency import WHITE, is_background
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput

RESIZE_MODES = ("crop", "squash", "fill", "half_crop")
ENCODINGS = ("none", "png", "jpg")
CHANNELS = (1, 3)
RANGES = ("auto", "full")  # of 16-bit samples: the range that the images use, or all 16 bits


@dataclass(frozen=True)
class FolderSource:
    """A folder with one subfolder per category. Categories below the minimum number of images are left out; above the
    maximum, images are dropped.

    The folder can be an archive, which users know as `name`. An uploaded archive is outside of the roots.
    """

    folder: Path
    min_per_class: int = 2
    max_per_class: int | None = None
    name: str = ""
    sent: bool = False

    def __post_init__(self):
        if self.min_per_class < 1:
            raise BadInput(f"The minimum of images per category must be at least 1, not {self.min_per_class}.")
        if self.max_per_class is not None and self.max_per_class < self.min_per_class:
            raise BadInput(
                f"The maximum of images per category ({self.max_per_class}) "
                f"must not be less than the minimum ({self.min_per_class})."
            )


@dataclass(frozen=True)
class TextSource:
    """A text file with one image or category per line; `name` is the name that its author knows.

    `folder` is the base of its relative paths.
    """

    file: Path
    name: str
    folder: Path | None = None


@dataclass(frozen=True)
class Spec:
    """An image database to build. Raises BadInput with the first invalid value.

    `pct_val` and `pct_test` are percentages of every category of the train folder. A percentage is ignored if its split
    has a folder of its own, also one inside the train folder; `val_limits` and `test_limits` are the minimum and
    maximum number of images per category in that folder. With text files in place of folders, `labels` names the
    categories and `shuffle` says whether the lines are shuffled. Only folders and images that are, with links resolved,
    in `roots` are read. `split_groups`: which images stay in one split, see group_names."""

    train: FolderSource | TextSource
    val: FolderSource | TextSource | None = None
    test: FolderSource | TextSource | None = None
    labels: TextSource | None = None
    shuffle: bool = True
    roots: tuple[Path, ...] = EVERYWHERE
    val_limits: tuple[int, int | None] = (2, None)
    test_limits: tuple[int, int | None] = (2, None)
    pct_val: float = 25
    pct_test: float = 0
    width: int = 256
    height: int = 256
    channels: int = 3
    resize_mode: str = "squash"
    encoding: str = "png"
    alpha_background: str = WHITE
    depth: str = "auto"
    seed: int = 0
    split_groups: str = AUTO
    workers: int | None = None

    def __post_init__(self):
        self._check_shares()
        for name in ("width", "height"):
            side = getattr(self, name)
            if not 1 <= side <= MAX_SIDE:
                raise BadInput(f"The image {name} must be from 1 to {MAX_SIDE} pixels, not {side}.")
        for name, value, allowed in (
            ("number of channels", self.channels, CHANNELS),
            ("resize mode", self.resize_mode, RESIZE_MODES),
            ("encoding", self.encoding, ENCODINGS),
            ("depth", self.depth, RANGES),
        ):
            if value not in allowed:
                raise BadInput(f"The {name} must be one of {', '.join(map(str, allowed))}, not {value}.")
        if not is_background(self.alpha_background):
            raise BadInput(f"The background must be white, black, #rrggbb or ignore, not {self.alpha_background}.")
        check_pattern(self.split_groups)
        if self.has_group_column and not self.listed:
            raise BadInput(NO_COLUMN)
        if self.seed < 0:
            raise BadInput(f"The seed must not be negative, but is {self.seed}.")
        if self.workers is not None and self.workers < 1:
            raise BadInput(f"The number of workers must be at least 1, not {self.workers}.")

    def _check_shares(self):
        for name, share in (("validation", self.share_val), ("test", self.share_test)):
            if not (math.isfinite(share) and 0 <= share < 100):
                raise BadInput(f"The share for {name} must be from 0 to below 100 %, not {share:g} %.")
        if self.share_val + self.share_test >= 100:
            raise BadInput(
                f"The shares for validation ({self.share_val:g} %) and test ({self.share_test:g} %) must together "
                "be below 100 %: otherwise no image is left for training."
            )

    @property
    def listed(self) -> bool:
        """Whether text files list the images."""
        return self.labels is not None

    @property
    def has_group_column(self) -> bool:
        """Whether each line of the text files ends with the group of its image."""
        return self.split_groups == COLUMN

    @property
    def share_val(self) -> float:
        """The percentage of the train folder that goes to validation."""
        return self.pct_val if self.val is None and not self.listed else 0

    @property
    def share_test(self) -> float:
        """The percentage of the train folder that goes to test."""
        return self.pct_test if self.test is None and not self.listed else 0


@dataclass(frozen=True)
class BuiltSplit:
    """One finished split; `per_category[label]` counts its entries of that label."""

    name: str
    entries: int
    per_category: list[int]


@dataclass(frozen=True)
class Built:
    """The result of a build. `categories[label]` is a name; `mean_pixel` is of the train split, RGB, 0 to 255.

    `skipped_reasons` counts the skipped files by reason. `white_level` is the 16-bit sample value that became 255.
    `copies` counts exact copies of images, {} without any (copies.ExactCopies). `found` are the splits that had their
    own folders inside the train folder.
    """

    categories: list[str]
    splits: list[BuiltSplit]
    skipped: int
    warnings: list[str]
    mean_pixel: list[float]
    skipped_reasons: dict[str, int] = field(default_factory=dict)
    white_level: int = FULL_RANGE
    copies: dict = field(default_factory=dict)
    found: tuple[str, ...] = ()
