"""Computes which parts of an image speak for a category. Plain Python and NumPy, for any network.

A class activation map is exact where the network ends in global average pooling and one linear layer (Zhou et al. 2016,
"Learning Deep Features for Discriminative Localization"). For all others, parts of the image are covered one after the
other (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks").
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageFilter

Scores = Callable[[np.ndarray], np.ndarray]  # float N×categories of images, uint8 N×H×W×C

TOLERANCE = 1e-3  # of a score, between that of the network and that of its class activation map
PATCHES = (7, 3)  # how many patches lie side by side on the shorter side of the image, of each size
STEPS_A_PATCH = 2  # positions of a patch on its own length
MAX_POSITIONS = 20  # of patches that do not overlap, along one side of the image
IMAGES_A_RUN = 16
LEAST = 1e-30  # replaces a score of 0 in a logarithm
PARTS = 20  # of the image that are removed or shown one after the other, to judge a map
BLUR = 0.1  # radius, as a part of the shorter side


def class_activation_map(
    features: np.ndarray, weights: np.ndarray | None, bias: np.ndarray | None, scores: np.ndarray, category: int
) -> np.ndarray | None:
    """The map of a category, float32 h×w, of the values before the pooling, C×h×w; None if the network does not compute
    its scores as softmax(weights · mean(features) + bias).

    weights: outputs×C, None if the features are one channel a category. scores: of all outputs of the network.
    """
    pooled = features.mean(axis=(1, 2), dtype=np.float64)
    logits = pooled if weights is None else weights @ pooled + (0 if bias is None else bias)
    if logits.shape != scores.shape or not np.allclose(_softmax(logits), scores, atol=TOLERANCE):
        return None
    if weights is None:
        return features[category].astype(np.float32)
    return np.tensordot(weights[category], features, axes=1).astype(np.float32)


def occlusion_map(scores: Scores, image: np.ndarray, category: int) -> np.ndarray:
    """The map of a category, float32 H×W: how much the log-odds of its score fall while a pixel is covered, as the mean
    over all patches that cover it.

    image: uint8 H×W×C. A patch has the image's mean colour.
    """
    height, width = image.shape[:2]
    whole = _log_odds(scores(image[None]), category)[0]
    total, covered = np.zeros((2, height, width))
    mean = _mean_colour(image)
    for places in _in_runs(_patches(height, width)):
        images = np.repeat(image[None], len(places), axis=0)
        for copy, place in zip(images, places, strict=True):
            copy[place] = mean
        for place, odds in zip(places, _log_odds(scores(images), category), strict=True):
            total[place] += whole - odds
            covered[place] += 1
    return (total / covered).astype(np.float32)


def deletion_and_insertion(
    scores: Scores, image: np.ndarray, importance: np.ndarray, category: int
) -> tuple[float, float]:
    """How good a map is, 0 to 1 each (Petsiuk et al. 2018, "RISE"): the mean score while the most important pixels are
    replaced by the mean colour (deletion: the lower, the better), and while they appear on the blurred image
    (insertion: the higher, the better).

    importance: H×W of the image, uint8 H×W×C.
    """
    order = np.argsort(-importance, axis=None, kind="stable")
    rank = np.empty(order.size)
    rank[order] = np.arange(order.size) / order.size
    rank = rank.reshape(importance.shape)[:, :, None]
    shares = np.linspace(0, 1, PARTS + 1)
    bare, blurred = _mean_colour(image), _blurred(image)
    deleted = _series(scores, (np.where(rank < share, bare, image) for share in shares), category)
    inserted = _series(scores, (np.where(rank < share, image, blurred) for share in shares), category)
    return _area(deleted), _area(inserted)


def scaled(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map, float32 h×w, at another size: bilinear if it grows, the mean of each part if it shrinks."""
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _series(scores: Scores, images: Iterator[np.ndarray], category: int) -> np.ndarray:
    return np.concatenate([scores(np.stack(some))[:, category] for some in _in_runs(images)])


def _area(series: np.ndarray) -> float:
    """The area under the curve of values at equal distances, whose whole width is 1 (trapezoidal rule)."""
    return float((series[:-1] + series[1:]).mean() / 2)


def _patches(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """The places of the patches of all sizes; together they cover the image."""
    for count in PATCHES:
        side = -(-min(height, width) // count)
        for rows in _intervals(height, side):
            for columns in _intervals(width, side):
                yield rows, columns


def _intervals(length: int, side: int) -> list[slice]:
    """Parts of a side of the image, at least `side` long, that overlap: the first begins where it begins, the last ends
    where it ends."""
    side = max(side, -(-length // MAX_POSITIONS))
    count = -(-(length - side) // max(1, side // STEPS_A_PATCH)) + 1
    starts = np.linspace(0, length - side, count).astype(int).tolist()
    return [slice(start, start + side) for start in starts]


def _in_runs(values):
    """Lists of at most IMAGES_A_RUN of the values."""
    some = []
    for value in values:
        some.append(value)
        if len(some) == IMAGES_A_RUN:
            yield some
            some = []
    if some:
        yield some


def _log_odds(scores: np.ndarray, category: int) -> np.ndarray:
    """log(p / (1 - p)) of each image. 1 - p is the sum of the other scores, so that a p of nearly 1 loses nothing.
    Scores that are no probabilities are taken as they are."""
    if scores.shape[1] < 2 or scores.min() < 0:
        return scores[:, category].astype(np.float64)
    own = scores[:, category].astype(np.float64)
    others = np.delete(scores, category, axis=1).sum(axis=1, dtype=np.float64)
    return np.log(np.maximum(own, LEAST)) - np.log(np.maximum(others, LEAST))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _mean_colour(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=(0, 1)).round().astype(np.uint8)


def _blurred(image: np.ndarray) -> np.ndarray:
    blur = ImageFilter.GaussianBlur(BLUR * min(image.shape[:2]))
    planes = [Image.fromarray(np.ascontiguousarray(image[:, :, channel])) for channel in range(image.shape[2])]
    return np.stack([np.asarray(plane.filter(blur)) for plane in planes], axis=2)
