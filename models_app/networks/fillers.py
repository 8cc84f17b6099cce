"""Initial weights, by Caffe's fillers. They depend on the seed alone: the same on every engine and machine."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models_app.networks.layers import Misfit
from models_app.networks.layers.layer_type import check_finite

NOT_SPARSE = -1  # Caffe's default of `sparse`

Draw = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, Any]], np.ndarray]


def constant(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Every weight is `value` [0]."""
    return np.full(shape, filler.get("value", 0.0))


def uniform(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Uniform from `min` [0] to `max` [1]."""
    return rng.uniform(filler.get("min", 0.0), filler.get("max", 1.0), shape)


def gaussian(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Normal with `mean` [0] and `std` [1]. With `sparse` each weight is kept with probability sparse / outputs and
    else set to 0 (as Caffe); a `sparse` above the number of outputs keeps all."""
    drawn = rng.normal(filler.get("mean", 0.0), filler.get("std", 1.0), shape)
    sparse = filler.get("sparse", NOT_SPARSE)
    return drawn if sparse == NOT_SPARSE else drawn * (rng.random(shape) < sparse / shape[0])


def positive_unitball(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Uniform from 0 to 1, then divided so that the weights of each output sum to 1."""
    drawn = rng.random((shape[0], math.prod(shape[1:])))
    return (drawn / drawn.sum(axis=1, keepdims=True)).reshape(shape)


def xavier(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Uniform within ±√(3/n) (Glorot and Bengio 2010, as Caffe)."""
    bound = math.sqrt(3 / fan(shape, filler))
    return rng.uniform(-bound, bound, shape)


def msra(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Normal with standard deviation √(2/n) (He et al. 2015, as Caffe)."""
    return rng.normal(0, math.sqrt(2 / fan(shape, filler)), shape)


def bilinear(rng: np.random.Generator, shape: tuple[int, ...], filler: Mapping[str, Any]) -> np.ndarray:
    """Bilinear interpolation as the weights of a Deconvolution: (1 - |x/f - c|)·(1 - |y/f - c|) in every filter.

    f is half the filter's size, rounded up, and c = (2f - 1 - f mod 2) / 2f (as Caffe).
    """
    size = shape[-1]
    factor = math.ceil(size / 2)
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    line = 1 - np.abs(np.arange(size) / factor - centre)
    return np.broadcast_to(np.outer(line, line), shape)


DRAWS = (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)
FILLERS: dict[str, Draw] = {draw.__name__: draw for draw in DRAWS}

SETTINGS = ("value", "min", "max", "mean", "std", "sparse", "variance_norm")


def fan(shape: tuple[int, ...], filler: Mapping[str, Any]) -> float:
    """Caffe's n: inputs per output (FAN_IN), outputs per input (FAN_OUT), or their mean (AVERAGE)."""
    size = math.prod(shape)
    fan_in, fan_out = size / shape[0], size / (shape[1] if len(shape) > 1 else 1)
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[
        filler.get("variance_norm", "FAN_IN")
    ]


def check_filler(filler: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """Raise Misfit if `fill` can't use this filler for weights of this shape."""
    if filler.get("type", "constant") not in FILLERS:
        raise Misfit(f"the filler {filler.get('type')!r} is not known; there are: {', '.join(FILLERS)}")
    for setting, value in filler.items():
        if setting == "variance_norm":
            if value not in ("FAN_IN", "FAN_OUT", "AVERAGE"):
                raise Misfit(f"variance_norm must be FAN_IN, FAN_OUT or AVERAGE, not {value!r}")
        elif setting != "type":
            if setting not in SETTINGS:
                raise Misfit(f"a filler has no setting {setting}: {value!r}")
            check_finite(f"a filler's {setting}", value)
    if filler.get("type") == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
        raise Misfit("the filler bilinear is for square filters")
    _check_sparse(filler)
    if filler.get("std", 1.0) < 0 or filler.get("min", 0.0) > filler.get("max", 1.0):
        raise Misfit("a filler's std must not be negative, and its min not above its max")


def _check_sparse(filler: Mapping[str, Any]) -> None:
    sparse = filler.get("sparse", NOT_SPARSE)
    if sparse == NOT_SPARSE:
        return
    if filler.get("type", "constant") != "gaussian":
        raise Misfit("a filler's sparse is for the type gaussian only")
    if not isinstance(sparse, int) or sparse < 0:
        raise Misfit(f"a filler's sparse must be a whole number from 0, or -1 for none, not {sparse!r}")


def fill(name: str, shape: tuple[int, ...], filler: Mapping[str, Any], seed: int) -> np.ndarray:
    """The initial float32 array of the weight `name`. It depends on the seed and the name only, so adding a layer does
    not change the others."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return FILLERS[filler.get("type", "constant")](rng, shape, filler).astype(np.float32)
