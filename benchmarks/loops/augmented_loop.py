"""What augmentation costs a training: `python -m benchmarks.loops.augmented_loop [SIZE BATCH]`.

Trains ResNet-18 on photos in memory, with several settings in turn, and prints the speed, that as a share of the speed
without augmentation, and the processor time of the augmentation of one image. `SETTINGS SIZE BATCH` runs the loop of
one setting.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, closing
from itertools import islice

import numpy as np
from PIL import Image

from benchmarks.loops.rounds import Loop, serve
from digits_project.common.resources import usable_cores
from models_app.networks import standard
from models_app.training.augmentation.augmenter import Augmenter, open_augmenter
from models_app.training.data.batch_reader import training_batches
from models_app.training.data.crops import InputLayout
from models_app.training.engines import EngineConfig, open_engine
from models_app.training.hyperparameters import Hyperparameters

SIZES = ((64, 32), (224, 16))  # side of the images, images in a batch
IMAGES, CATEGORIES, LEARNING_RATE = 64, 10, 0.01
ROUNDS, SECONDS = 3, 4.0
SETTINGS: dict[str, dict] = {
    "none": {},
    "light": {"aug_policy": "light"},
    "trivialaugment": {"aug_policy": "trivialaugment"},
    "randaugment": {"aug_policy": "randaugment"},
    "mixup, cutmix": {"mixup": 0.2, "cutmix": 1.0},
    "DIGITS, all": {
        "aug_flip": "fliplrud", "aug_quad_rot": "rotall", "aug_rot": 20.0, "aug_scale": 0.07, "aug_noise": 0.03,
        "aug_contrast": 0.8, "aug_whitening": True, "aug_hsv_use": True,
    },
}  # fmt: skip
TRAINED = ("none", "light", "DIGITS, all")


class PhotosInMemory:
    """Smooth random images, uint8 N×C×H×W."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (IMAGES, size // 8, size // 8, 3), np.uint8)
        large = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC) for one in small]
        self.layout = InputLayout((3, size, size), (3, size, size), mirror=True, categories=CATEGORIES)
        self._pixels = np.stack([np.asarray(one).transpose(2, 0, 1) for one in large])

    def __len__(self) -> int:
        return IMAGES

    def read(self, numbers, images, labels, windows=None) -> None:
        _, height, width = self.layout.input_shape
        for place, number in enumerate(numbers):
            pixels = self._pixels[number]
            images[place] = windows[place].of(pixels, height, width) if windows else pixels
        labels[:] = np.asarray(numbers) % CATEGORIES

    def close(self) -> None:
        """There is nothing to close."""


def main(name: str, size: int, batch_size: int) -> None:
    """Train for so long as the lines of input say, see rounds.serve()."""
    network, images = standard("resnet18", (3, size, size), CATEGORIES), PhotosInMemory(size)
    hyperparameters = Hyperparameters(batch_size=batch_size, **SETTINGS[name])
    settings = {**hyperparameters.values(), "threads": usable_cores(), "seed": 1}
    mean = np.full((3, 1, 1), 120, np.float32)
    engine = open_engine("mxnet", EngineConfig(network=network, mean=mean, devices=("cpu",), **settings))
    engine.load_weights(network.initial_weights(1))
    augmenter = open_augmenter(hyperparameters, network, images.layout, 1, usable_cores())
    with closing(training_batches(images, batch_size, 1, 0, augmenter)) as batches:

        def train(steps: int) -> None:
            for batch in islice(batches, steps):
                engine.train_batch(batch.images, batch.labels, LEARNING_RATE)
            engine.training_scores()
            engine.optimizer_state()  # waits for the last step

        serve(train, batch_size)


def processor_time(name: str, size: int, batch_size: int) -> float:
    """Seconds of processor time that the augmentation of one image takes, on one thread."""
    images, hyperparameters = PhotosInMemory(size), Hyperparameters(batch_size=batch_size, **SETTINGS[name])
    augmenter = Augmenter(hyperparameters, images.layout, 1, 1, CATEGORIES if hyperparameters.has_soft_labels else 0)
    out = np.empty((batch_size, 3, size, size), np.uint8)
    labels = np.empty((batch_size, *augmenter.label_shape), np.float32)
    with closing(augmenter):
        numbers = np.arange(batch_size) % IMAGES
        augmenter.read(images, numbers, 0, 0, out, labels)
        began, batches = time.process_time(), max(2, 512 // batch_size)
        for batch in range(batches):
            augmenter.read(images, numbers, 1, batch * batch_size, out, labels)
    return (time.process_time() - began) / batches / batch_size


def compare(size: int, batch_size: int) -> None:
    """Print a row for each setting."""
    speeds: dict[str, list[float]] = {name: [] for name in TRAINED}
    with ExitStack() as stack:
        module = "benchmarks.loops.augmented_loop"
        loops = {}
        for name in TRAINED:
            command = [sys.executable, "-m", module, name, str(size), str(batch_size)]
            loops[name] = stack.enter_context(Loop(command, os.environ))
        for _ in range(ROUNDS):
            for name, loop in loops.items():
                speeds[name].append(loop.images_per_second(SECONDS))
    plain = max(speeds["none"])
    for name in SETTINGS:
        cost = processor_time(name, size, batch_size) * 1e6
        speed = f"{max(speeds[name]):7.1f} images/s {max(speeds[name]) / plain:6.3f}" if name in TRAINED else ""
        print(f"{size:4} {name:15} {cost:6.0f} µs/image {speed}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        main(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        for chosen in [tuple(map(int, sys.argv[1:]))] if sys.argv[1:] else SIZES:
            compare(*chosen)
