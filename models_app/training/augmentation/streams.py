"""Random numbers that are functions of a seed, an epoch, an operation and an image's position in the epoch.

They don't depend on the order in which threads compute, nor on where a training was resumed.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

SMALLEST = 2.0**-53  # of a uniform number that is not 0

_standard = NormalDist()


def uniforms(seed: int, epoch: int, stream: int, first: int, images: int, numbers: int) -> np.ndarray:
    """`numbers` random numbers, 0 to below 1, for each of `images` consecutive images from position `first` on."""
    bits = np.random.PCG64(np.random.SeedSequence([seed, epoch, stream]))
    bits.advance(numbers * first)  # a number takes one draw
    return np.random.Generator(bits).random((images, numbers))


def generator(seed: int, epoch: int, stream: int, position: int) -> np.random.Generator:
    """A generator for the image at this position, for operations that need one number for each pixel."""
    # 1 more, because a last number of 0 would not change the seed.
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, epoch, stream, position + 1])))


def normal(uniform: float) -> float:
    """A normally distributed number, of mean 0 and standard deviation 1, from a uniform one."""
    return _standard.inv_cdf(max(uniform, SMALLEST))


def between(lowest: float, highest: float, uniform: float) -> float:
    """A number that is uniform between two bounds."""
    return lowest + (highest - lowest) * uniform
