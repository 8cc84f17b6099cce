"""Layers that slide a window over an image: Convolution, Deconvolution, Pooling, LRN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models_app.networks.layers.layer_type import (
    ZEROS,
    Extent,
    LayerType,
    Misfit,
    OnnxGraph,
    Shape,
    WeightSpec,
    check_size,
    image_shape,
)

MAX_LOCAL_SIZE = 999
ROUNDING = {"CEIL": math.ceil, "FLOOR": math.floor}  # Caffe's round_mode of a Pooling
PAD_MODES = ("EXPLICIT", "SAME")  # of a Convolution


def check_window(kernel: Extent, stride: Extent, pad: Extent) -> None:
    if min(kernel) < 1 or min(stride) < 1:
        raise Misfit("kernel_size and stride must be at least 1")
    if min(pad) < 0:
        raise Misfit("pad must not be negative")


def check_fits(kernel: Extent, pad: Extent, channels: int, height: int, width: int) -> None:
    """Raise Misfit for a kernel that is larger than its padded input, and for a pad that is too large for memory."""
    check_size((channels, height + 2 * pad[0], width + 2 * pad[1]))
    if kernel[0] > height + 2 * pad[0] or kernel[1] > width + 2 * pad[1]:
        padded = f" with a pad of {pad[0]}×{pad[1]}" if any(pad) else ""
        raise Misfit(f"{kernel[0]}×{kernel[1]} kernel does not fit a {height}×{width} input{padded}")


@dataclass(frozen=True)
class Filters(LayerType, abstract=True):
    """Caffe's ConvolutionParameter."""

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

    @property
    def covered(self) -> Extent:
        """Height and width that the kernel covers, dilation included."""
        rows, columns = (d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))
        return (rows, columns)

    def channels(self, bottom: Shape) -> int:
        """The number of channels of the input, which must be an image."""
        channels = image_shape(bottom)[0]
        if channels % self.group:
            raise Misfit(f"its {channels} input channels are not a multiple of group {self.group}")
        return channels

    def specs(self, shape: Shape) -> list[WeightSpec]:
        """The weights: filters of this shape, and their bias."""
        weight, bias = (
            WeightSpec("weight", shape, self.weight_filler),
            WeightSpec("bias", (self.num_output,), self.bias_filler),
        )
        return [weight, bias] if self.bias_term else [weight]

    def settings(self) -> dict[str, Any]:
        """The attributes of the ONNX node."""
        windows = {"kernel_shape": self.kernel_size, "strides": self.stride, "dilations": self.dilation}
        return {**windows, "pads": self.pad * 2, "group": self.group}


@dataclass(frozen=True)
class Convolution(Filters):
    """A convolution. Output size: floor((in + 2·pad - extent) / stride) + 1, with extent = dilation·(kernel - 1) + 1.

    With pad_mode SAME the output size is ceil(in / stride), as in TensorFlow: the input is padded as far as the last
    window reaches, half of it before and half after; of an odd number, the larger half is after.
    """

    pad_mode: str = "EXPLICIT"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pad_mode not in PAD_MODES:
            raise Misfit(f"pad_mode must be {' or '.join(PAD_MODES)}, not {self.pad_mode!r}")
        if self.pad_mode == "SAME" and self.pad != (0, 0):
            raise Misfit("pad_mode SAME takes no pad")

    def pads(self, bottom: Shape) -> tuple[Extent, Extent]:
        """The pad before the first row and column, and the pad after the last."""
        if self.pad_mode == "EXPLICIT":
            return self.pad, self.pad
        size = zip(bottom[1:], self.covered, self.stride, strict=True)
        rows, columns = (max(0, ((n - 1) // s) * s + k - n) for n, k, s in size)
        return (rows // 2, columns // 2), ((rows + 1) // 2, (columns + 1) // 2)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        channels, (height, width) = self.channels(bottoms[0]), bottoms[0][1:]
        before, after = self.pads(bottoms[0])
        check_fits(self.covered, after, channels, height, width)
        size = zip((height, width), before, after, self.covered, self.stride, strict=True)
        return [(self.num_output, *((n + b + a - k) // s + 1 for n, b, a, k, s in size))]

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        return self.specs((self.num_output, bottoms[0][0] // self.group, *self.kernel_size))

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        before, after = self.pads(shapes[0])
        return [graph.node("Conv", inputs + weights, **self.settings() | {"pads": before + after})]


@dataclass(frozen=True)
class Deconvolution(Filters):
    """A transposed convolution, which enlarges images. Output size: stride·(in - 1) + extent - 2·pad."""

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        self.channels(bottoms[0])
        size = zip(bottoms[0][1:], self.pad, self.covered, self.stride, strict=True)
        rows, columns = (s * (n - 1) + k - 2 * p for n, p, k, s in size)
        if min(rows, columns) < 1:
            raise Misfit(f"a pad of {self.pad[0]}×{self.pad[1]} leaves nothing of its output")
        check_size((self.num_output, rows + 2 * self.pad[0], columns + 2 * self.pad[1]))
        return [(self.num_output, rows, columns)]

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        return self.specs((bottoms[0][0], self.num_output // self.group, *self.kernel_size))

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("ConvTranspose", inputs + weights, **self.settings())]


@dataclass(frozen=True)
class Pooling(LayerType):
    """Caffe's PoolingParameter: MAX or AVE.

    The output size is ceil((in + 2·pad - kernel) / stride) + 1, less one if the last window would begin beyond the
    input, so every window holds at least one pixel. With round_mode FLOOR it is rounded down, so no window reaches
    beyond the pad. An average counts the pad, but nothing beyond it.
    """

    kernel_size: Extent = (0, 0)
    pool: str = "MAX"
    stride: Extent = (1, 1)
    pad: Extent = (0, 0)
    global_pooling: bool = False
    round_mode: str = "CEIL"

    def __post_init__(self) -> None:
        if self.round_mode not in ROUNDING:
            raise Misfit(f"round_mode must be {' or '.join(ROUNDING)}, not {self.round_mode!r}")
        if self.pool == "STOCHASTIC":
            raise Misfit("pool STOCHASTIC is not supported, because its results are random; use MAX or AVE")
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
        check_fits(self.kernel_size, self.pad, channels, height, width)
        return [(channels, self._pooled(height, 0), self._pooled(width, 1))]

    def _pooled(self, size: int, axis: int) -> int:
        kernel, stride, pad = self.kernel_size[axis], self.stride[axis], self.pad[axis]
        pooled = ROUNDING[self.round_mode]((size + 2 * pad - kernel) / stride) + 1
        return pooled - 1 if (pooled - 1) * stride >= size + pad else pooled

    def beyond(self, bottom: Shape) -> Extent:
        """How far the last window reaches beyond the padded input at the bottom and right; negative: it ends before."""
        size = zip(self.shapes([bottom])[0][1:], bottom[1:], self.kernel_size, self.stride, self.pad, strict=True)
        rows, columns = ((out - 1) * s + k - n - 2 * p for out, n, k, s, p in size)
        return (rows, columns)

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        """Writes explicit pads, because ONNX's ceil_mode lacks Caffe's rule for the last window."""
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
    """Local response normalisation: x / (k + alpha/n · Σ x²)^beta (Krizhevsky et al. 2012).

    The sum runs over the channels around x (n = local_size) or, with WITHIN_CHANNEL, over the square around it
    (n = local_size², k = 1). Pixels outside of the image count as 0.
    """

    local_size: int = 5
    alpha: float = 1.0
    beta: float = 0.75
    k: float = 1.0
    norm_region: str = "ACROSS_CHANNELS"

    def __post_init__(self) -> None:
        if self.norm_region not in ("ACROSS_CHANNELS", "WITHIN_CHANNEL"):
            raise Misfit(f"norm_region must be ACROSS_CHANNELS or WITHIN_CHANNEL, not {self.norm_region!r}")
        if self.within and self.k != 1:
            raise Misfit(f"k must be 1 for norm_region WITHIN_CHANNEL, not {self.k}")
        if self.local_size < 1 or self.local_size % 2 == 0:
            raise Misfit(f"local_size must be odd, not {self.local_size}")
        if self.local_size > MAX_LOCAL_SIZE:
            raise Misfit(f"local_size must be at most {MAX_LOCAL_SIZE}, not {self.local_size}")

    @property
    def within(self) -> bool:
        """Whether each channel is normalised by itself."""
        return self.norm_region == "WITHIN_CHANNEL"

    @property
    def window(self) -> tuple[Extent, Extent]:
        """Kernel and pad of the average pooling that computes the sums within a channel."""
        return (self.local_size, self.local_size), (self.local_size // 2, self.local_size // 2)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [image_shape(bottoms[0])]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        if not self.within:
            return [graph.node("LRN", inputs, size=self.local_size, alpha=self.alpha, beta=self.beta, bias=self.k)]
        kernel, pad = self.window
        squares = graph.node("Mul", inputs * 2)
        averages = graph.node("AveragePool", [squares], kernel_shape=kernel, pads=pad * 2, count_include_pad=1)
        alpha, one, beta = (graph.constant(np.array(n, dtype=np.float32)) for n in (self.alpha, 1, self.beta))
        scale = graph.node("Add", [graph.node("Mul", [averages, alpha]), one])
        return [graph.node("Div", [*inputs, graph.node("Pow", [scale, beta])])]
