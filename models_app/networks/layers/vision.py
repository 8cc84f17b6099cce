"""Layers that slide a window over an image: Convolution, Pooling, LRN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks.layers.base import Extent, Graph, LayerType, Misfit, Shape, WeightSpec, image_shape

ZEROS = {"type": "constant", "value": 0.0}


def check_window(kernel: Extent, stride: Extent, pad: Extent) -> None:
    if min(kernel) < 1 or min(stride) < 1:
        raise Misfit("kernel_size and stride must be at least 1")
    if min(pad) < 0:
        raise Misfit("pad must not be negative")


def check_fits(kernel: Extent, pad: Extent, height: int, width: int) -> None:
    """Refuse a kernel that is larger than its padded input."""
    if kernel[0] > height + 2 * pad[0] or kernel[1] > width + 2 * pad[1]:
        padded = f" with a pad of {pad[0]}×{pad[1]}" if any(pad) else ""
        raise Misfit(f"{kernel[0]}×{kernel[1]} kernel does not fit a {height}×{width} input{padded}")


@dataclass(frozen=True)
class Convolution(LayerType):
    """Caffe's ConvolutionParameter. The output's size is floor((in + 2·pad - extent) / stride) + 1,
    with extent = dilation·(kernel - 1) + 1."""

    num_output: int
    kernel_size: Extent
    stride: Extent = (1, 1)
    pad: Extent = (0, 0)
    dilation: Extent = (1, 1)
    group: int = 1
    bias_term: bool = True
    weight_filler: dict = field(default_factory=lambda: ZEROS)
    bias_filler: dict = field(default_factory=lambda: ZEROS)

    def __post_init__(self) -> None:
        check_window(self.kernel_size, self.stride, self.pad)
        if self.num_output < 1 or self.group < 1 or min(self.dilation) < 1:
            raise Misfit("num_output, group and dilation must be at least 1")
        if self.num_output % self.group:
            raise Misfit(f"num_output {self.num_output} is not a multiple of group {self.group}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        channels, height, width = image_shape(bottoms[0])
        if channels % self.group:
            raise Misfit(f"its {channels} input channels are not a multiple of group {self.group}")
        covered = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))
        check_fits(covered, self.pad, height, width)
        size = zip((height, width), self.pad, covered, self.stride, strict=True)
        return [(self.num_output, *((n + 2 * p - k) // s + 1 for n, p, k, s in size))]

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        shape = (self.num_output, bottoms[0][0] // self.group, *self.kernel_size)
        specs = [WeightSpec("weight", shape, self.weight_filler)]
        return specs + ([WeightSpec("bias", (self.num_output,), self.bias_filler)] if self.bias_term else [])

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        settings = {"kernel_shape": self.kernel_size, "strides": self.stride, "dilations": self.dilation}
        return [graph.node("Conv", inputs + weights, group=self.group, pads=self.pad * 2, **settings)]


@dataclass(frozen=True)
class Pooling(LayerType):
    """Caffe's PoolingParameter: MAX or AVE.

    The output's size is ceil((in + 2·pad - kernel) / stride) + 1, less one if the last window would begin beyond the
    input: so every window holds at least one pixel. An average counts the pad but nothing beyond it.
    """

    kernel_size: Extent = (0, 0)
    pool: str = "MAX"
    stride: Extent = (1, 1)
    pad: Extent = (0, 0)
    global_pooling: bool = False

    def __post_init__(self) -> None:
        if self.pool not in ("MAX", "AVE"):
            raise Misfit(f"pool must be MAX or AVE, not {self.pool!r}")
        if self.global_pooling:
            if self.kernel_size != (0, 0) or self.pad != (0, 0) or self.stride != (1, 1):
                raise Misfit("global_pooling takes no kernel_size, stride or pad")
            return
        check_window(self.kernel_size, self.stride, self.pad)
        if self.pad[0] >= self.kernel_size[0] or self.pad[1] >= self.kernel_size[1]:
            raise Misfit("pad must be smaller than kernel_size")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        channels, height, width = image_shape(bottoms[0])
        if self.global_pooling:
            return [(channels, 1, 1)]
        check_fits(self.kernel_size, self.pad, height, width)
        return [(channels, self._pooled(height, 0), self._pooled(width, 1))]

    def _pooled(self, size: int, axis: int) -> int:
        kernel, stride, pad = self.kernel_size[axis], self.stride[axis], self.pad[axis]
        pooled = math.ceil((size + 2 * pad - kernel) / stride) + 1
        return pooled - 1 if (pooled - 1) * stride >= size + pad else pooled

    def beyond(self, bottom: Shape) -> Extent:
        """How far the last window reaches beyond the padded input, downwards and to the right; below 0: short of it."""
        size = zip(self.shapes([bottom])[0][1:], bottom[1:], self.kernel_size, self.stride, self.pad, strict=True)
        rows, columns = ((out - 1) * s + k - n - 2 * p for out, n, k, s, p in size)
        return (rows, columns)

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        """Explicit pads, since ceil_mode of ONNX lacks Caffe's rule for the last window."""
        if self.global_pooling:
            return [graph.node("GlobalMaxPool" if self.pool == "MAX" else "GlobalAveragePool", inputs)]
        beyond = tuple(max(0, n) for n in self.beyond(shapes[0]))
        settings = {"kernel_shape": self.kernel_size, "strides": self.stride}
        if self.pool == "MAX":
            ends = (self.pad[0] + beyond[0], self.pad[1] + beyond[1])
            return [graph.node("MaxPool", inputs, pads=self.pad + ends, **settings)]
        if any(self.pad):
            pads = np.array([0, 0, *self.pad, 0, 0, *self.pad], dtype=np.int64)
            inputs = [graph.node("Pad", [inputs[0], graph.constant(pads)])]
        return [graph.node("AveragePool", inputs, pads=(0, 0, *beyond), count_include_pad=0, **settings)]


@dataclass(frozen=True)
class LRN(LayerType):
    """Local response normalisation across channels: x / (k + alpha/local_size · Σ x²)^beta (Krizhevsky et al. 2012)."""

    local_size: int = 5
    alpha: float = 1.0
    beta: float = 0.75
    k: float = 1.0
    norm_region: str = "ACROSS_CHANNELS"

    def __post_init__(self) -> None:
        if self.norm_region != "ACROSS_CHANNELS":
            raise Misfit(f"norm_region must be ACROSS_CHANNELS, not {self.norm_region}")
        if self.local_size < 1 or self.local_size % 2 == 0:
            raise Misfit(f"local_size must be odd, not {self.local_size}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [image_shape(bottoms[0])]

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("LRN", inputs, size=self.local_size, alpha=self.alpha, beta=self.beta, bias=self.k)]
