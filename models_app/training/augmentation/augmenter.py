"""Reads the images of a training with augmentation, on several threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from models_app.networks import Network
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.image_checks import check_images
from models_app.training.augmentation.mixing import mix_of, partner
from models_app.training.augmentation.operations import OPERATIONS
from models_app.training.augmentation.soft_labels import soft_label_width, soft_labels
from models_app.training.augmentation.streams import generator, uniforms
from models_app.training.augmentation.views import View
from models_app.training.data.crops import InputLayout, Window
from models_app.training.data.pixel_file import in_shares
from models_app.training.data.pixels import Images

WHOLE = Window(0, 0, flipped=False)


class Augmenter:
    """Reads images and labels as a training gets them: augmented, mixed, and with labels that are shares of categories.

    What an image looks like is a function of the seed, the epoch and its position in the epoch.

    label_width: how many numbers a label has (soft_label_width); 0: labels stay as they are.
    """

    def __init__(
        self, settings: Augmentation, layout: InputLayout, seed: int, threads: int, label_width: int = 0
    ) -> None:
        self.label_shape = (label_width,) if label_width else layout.label_shape
        self._settings = settings
        self._layout = layout
        self._seed = seed
        self._label_width = label_width
        self._operations = [operation for operation in OPERATIONS.values() if operation.is_on(settings)]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="augment")
        self._read = np.empty((0, *layout.image_shape), np.uint8)
        self._unmixed = np.empty((0, *layout.input_shape), np.uint8)

    def read(
        self, images: Images, numbers: Sequence[int] | np.ndarray, epoch: int, first: int, out: np.ndarray,
        labels: np.ndarray, rows: slice | None = None,
    ) -> None:  # fmt: skip
        """Read the batch that begins at the position `first` of an epoch: its images into `out` (uint8, n×C×H×W), its
        labels into `labels` (float32, n×label_shape). `rows`: only these rows of the batch. Only one thread at a time
        may call it."""
        own = rows or slice(0, len(numbers))
        if self._settings.mixes_images:
            self._read_mixed(images, numbers, epoch, first, out, labels, own)
            return
        categories = np.empty(len(out), np.float32) if self._label_width else labels
        self._read_unmixed(images, numbers[own], epoch, first + own.start, out, categories)
        if self._label_width:
            labels[:] = self._soft(categories)

    def image_at(
        self, images: Images, order: np.ndarray, epoch: int, position: int, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The image and the label of one position, as read() returns them in a batch; `order` is that of the epoch."""
        found = [self._one(images, order, epoch, position)]
        if not self._settings.mixes_images:
            return found[0]
        found.append(self._one(images, order, epoch, partner(position, batch_size)))
        (own, label), (other, others_label) = found
        mix = mix_of(self._settings, self._seed, epoch, position, *own.shape[1:])
        out = np.empty_like(own)
        mix.apply(own, other, out)
        return out, _mixed(label, others_label, mix.share)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _one(self, images: Images, order: np.ndarray, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        """An image and its label before they are mixed."""
        pixels = np.empty((1, *self._layout.input_shape), self._layout.dtype)
        labels = np.empty((1, *self._layout.label_shape), np.float32)
        self._read_unmixed(images, order.take([position], mode="wrap"), epoch, position, pixels, labels)
        return pixels[0], self._soft(labels)[0] if self._label_width else labels[0]

    def _read_mixed(
        self, images: Images, numbers: Sequence[int] | np.ndarray, epoch: int, first: int, out: np.ndarray,
        labels: np.ndarray, own: slice,
    ) -> None:  # fmt: skip
        """Read these rows of a batch, and the row with which the last of them is mixed."""
        count, after = len(out), own.stop % len(numbers)
        self._unmixed = _with_room(self._unmixed, count + 1)
        categories = np.empty(count + 1, np.float32)
        self._read_unmixed(images, numbers[own], epoch, first + own.start, self._unmixed[:count], categories[:count])
        if after == own.start:  # the rows are the whole batch
            self._unmixed[count], categories[count] = self._unmixed[0], categories[0]
        else:
            last, label = self._unmixed[count:][:1], categories[count:]
            self._read_unmixed(images, numbers[after : after + 1], epoch, first + after, last, label)
        self._mix(epoch, first + own.start, out, labels, self._soft(categories))

    def _read_unmixed(
        self, images: Images, numbers: Sequence[int] | np.ndarray, epoch: int, first: int, out: np.ndarray,
        labels: np.ndarray,
    ) -> None:  # fmt: skip
        count = len(numbers)
        windows = self._layout.at_random(self._seed, epoch, first, count)
        if not self._operations:
            images.read(numbers, out, labels, windows)
            return
        self._read = _with_room(self._read, count)
        images.read(numbers, self._read[:count], labels)
        windows = windows or [WHOLE] * count
        views = self._views(epoch, first, count)

        def render(place: int) -> None:
            views[place].render(self._read[place], windows[place], out[place])

        self._for_each(count, render)

    def _views(self, epoch: int, first: int, count: int) -> list[View]:
        views = [
            View(self._layout, partial(self._generator, epoch, position)) for position in range(first, first + count)
        ]
        for operation in self._operations:
            drawn = uniforms(self._seed, epoch, operation.stream, first, count, operation.numbers).tolist()
            for view, numbers in zip(views, drawn, strict=True):
                operation.change(self._settings, numbers, view)
        return views

    def _generator(self, epoch: int, position: int, stream: int) -> np.random.Generator:
        return generator(self._seed, epoch, stream, position)

    def _soft(self, categories: np.ndarray) -> np.ndarray:
        return soft_labels(categories, self._label_width, self._layout.categories, self._settings.label_smoothing)

    def _mix(self, epoch: int, first: int, out: np.ndarray, labels: np.ndarray, unmixed: np.ndarray) -> None:
        """Mix each image that was read, and its label, with the next one."""
        count, (_, height, width) = len(out), self._layout.input_shape
        mixes = [
            mix_of(self._settings, self._seed, epoch, position, height, width)
            for position in range(first, first + count)
        ]
        labels[:] = _mixed(unmixed[:-1], unmixed[1:], np.array([[mix.share] for mix in mixes], np.float32))

        def mix(place: int) -> None:
            mixes[place].apply(self._unmixed[place], self._unmixed[place + 1], out[place])

        self._for_each(count, mix)

    def _for_each(self, count: int, work: Callable[[int], None]) -> None:
        """Call a function with each of the numbers below `count`, on all threads; raises what it raises."""

        def work_on(part: range) -> None:
            for place in part:
                work(place)

        in_shares(self._pool, self._threads, count, work_on)


def open_augmenter(
    settings: Augmentation, network: Network, layout: InputLayout, seed: int, threads: int
) -> Augmenter | None:
    """The augmenter of a training; None if the settings include no augmentation, so that batches are read as they are.

    Raises BadHyperparameter if the images or the network don't allow it.
    """
    width = soft_label_width(settings, network)
    check_images(settings, layout.image_shape)
    if not width and not any(operation.is_on(settings) for operation in OPERATIONS.values()):
        return None
    return Augmenter(settings, layout, seed, threads, width)


def _mixed(label: np.ndarray, other: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    of_own = np.float32(share)
    return label * of_own + other * (1 - of_own)


def _with_room(buffer: np.ndarray, count: int) -> np.ndarray:
    """The buffer or, if it holds fewer images, a larger one."""
    return buffer if len(buffer) >= count else np.empty((count, *buffer.shape[1:]), np.uint8)
