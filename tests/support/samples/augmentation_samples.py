"""Images in memory, as a training reads them, and augmented batches of them."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from models_app.networks import Network
from models_app.training.augmentation.augmenter import Augmenter, open_augmenter
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.data.crops import InputLayout
from tests.support.samples.training_samples import softmax_network

CATEGORIES = 10
# Every augmentation of images, labels included.
EVERYTHING = {
    "aug_flip": "fliplrud", "aug_quad_rot": "rotall", "aug_rot": 20.0, "aug_scale": 0.1, "aug_noise": 0.05,
    "aug_contrast": 0.3, "aug_crop_scale": 0.4, "aug_policy": "randaugment", "random_erasing": 0.5, "mixup": 0.4,
    "cutmix": 1.0, "label_smoothing": 0.1, "aug_whitening": True,
}  # fmt: skip
HSV = {"aug_hsv_use": True, "aug_hsv_h": 0.1, "aug_hsv_s": 0.1, "aug_hsv_v": 0.1}


class ImagesInMemory:
    """Images, uint8 N×C×H×W, whose labels are their numbers modulo CATEGORIES."""

    def __init__(self, pixels: np.ndarray, layout: InputLayout) -> None:
        self.layout = layout
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, numbers: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray, windows=None) -> None:
        for place, (number, image) in enumerate(zip(numbers, images, strict=True)):
            pixels = self._pixels[number]
            image[:] = windows[place].of(pixels, *image.shape[1:]) if windows else pixels
        labels[:] = np.asarray(numbers) % CATEGORIES

    def close(self) -> None:
        """There is nothing to close."""


def images_of(pixels: np.ndarray, input_shape: tuple[int, int, int] | None = None, mirror=False) -> ImagesInMemory:
    shape = pixels.shape[1:]
    return ImagesInMemory(pixels, InputLayout(shape, input_shape or shape, mirror, CATEGORIES))


def noise_images(count=20, shape=(3, 12, 12)) -> np.ndarray:
    """Images of random pixels."""
    return np.random.default_rng(3).integers(0, 256, (count, *shape), np.uint8)


def smooth_images(count=6, shape=(3, 32, 32)) -> np.ndarray:
    """Images without edges, so that what is computed between pixels differs little from them."""
    channels, height, width = shape
    down, right = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(3 * down + 2 * right * (1 + c) + n) for n in range(count) for c in range(channels)]
    return np.rint(127.5 + 100 * np.stack(waves)).astype(np.uint8).reshape(count, *shape)


def augmenter_of(images: ImagesInMemory, seed=1, threads=1, network: Network | None = None, **settings) -> Augmenter:
    network = network or softmax_network(CATEGORIES, images.layout.input_shape)
    augmenter = open_augmenter(Augmentation(**settings), network, images.layout, seed, threads)
    assert augmenter
    return augmenter


def augmented(
    pixels: np.ndarray,
    epoch=0,
    first=0,
    count=None,
    seed=1,
    threads=1,
    images: ImagesInMemory | None = None,
    **settings,
) -> tuple[np.ndarray, np.ndarray]:
    """A batch of augmented images and their labels: `count` of the images, in their order, from `first` on."""
    images = images or images_of(pixels)
    augmenter = augmenter_of(images, seed, threads, **settings)
    numbers = np.arange(first, first + (count or len(images))) % len(images)
    out = np.zeros((len(numbers), *images.layout.input_shape), np.uint8)
    labels = np.zeros((len(numbers), *augmenter.label_shape), np.float32)
    with closing(augmenter):
        augmenter.read(images, numbers, epoch, first, out, labels)
    return out, labels
