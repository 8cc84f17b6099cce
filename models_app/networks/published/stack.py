"""A builder with which the published networks are written, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models_app.networks.graph import Network
from models_app.networks.layer import PHASES, Layer, Multipliers

LABELLED = ("train", "val")

# Weights learn at the solver's rate; biases at twice that and without decay.
WEIGHT_AND_BIAS = (Multipliers(1, 1), Multipliers(2, 0))

# With Caffe's 0.999 the averages depend on the first weights for about a thousand batches.
NORM = {"moving_average_fraction": 0.9}

MSRA = {"weight_filler": {"type": "msra"}}


def xavier(bias: float = 0.0) -> dict[str, Any]:
    """Xavier weights (Glorot and Bengio 2010) and constant biases."""
    return {"weight_filler": {"type": "xavier"}, "bias_filler": {"type": "constant", "value": bias}}


def gaussian(std: float, bias: float = 0.0) -> dict[str, Any]:
    """Normal weights with mean 0 and constant biases."""
    return {"weight_filler": {"type": "gaussian", "std": std}, "bias_filler": {"type": "constant", "value": bias}}


@dataclass(frozen=True)
class Frame:
    """The network's input shape. `crop_size`: side of the square that is cropped from larger images, 0 for none."""

    input_shape: tuple[int, int, int]
    crop_size: int = 0


class LayerStack:
    """A stack of layers: each reads the top of the layer before, unless `bottoms` says otherwise.

    `mirror`: training flips half of the images left to right. `multipliers`: of weights and biases. `norm`: the
    parameters of every BatchNorm.
    """

    def __init__(
        self,
        frame: Frame,
        mirror: bool = True,
        multipliers: tuple[Multipliers, ...] = WEIGHT_AND_BIAS,
        norm: Mapping[str, Any] = NORM,
    ) -> None:
        self._frame = frame
        self._norm = norm
        self._multipliers = multipliers
        given = {"crop_size": frame.crop_size, "mirror": mirror}
        self._layers = [
            Layer("data", "Data", (), ("data", "label"), {key: value for key, value in given.items() if value})
        ]
        self.top = "data"

    def put(
        self,
        type: str,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        bottoms: Sequence[str] = (),
        top: str = "",
        multipliers: tuple[Multipliers, ...] = (),
        phases: tuple[str, ...] = PHASES,
    ) -> str:
        """Add a layer whose top is named like it, or `top`. Returns the top's name."""
        taken, self.top = tuple(bottoms) or (self.top,), top or name
        self._layers.append(Layer(name, type, taken, (self.top,), dict(parameters or {}), multipliers, phases))
        return self.top

    def over(self, type: str, name: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Add a layer that works in place, as ReLU and Dropout do."""
        return self.put(type, name, parameters, top=self.top, **options)

    def convolution(self, name: str, outputs: int, kernel: int, **parameters: Any) -> str:
        """Add a convolution with a bias, and multipliers for both."""
        sizes = {"num_output": outputs, "kernel_size": kernel}
        return self.put("Convolution", name, sizes | parameters, multipliers=self._multipliers)

    def normed_convolution(
        self, name: str, norms: tuple[str, str], outputs: int, kernel: int, **parameters: Any
    ) -> str:
        """Add a convolution without a bias, then batch normalisation, then a gain and a bias per channel.

        `norms` are the names of its BatchNorm and Scale layers.
        """
        sizes = {"num_output": outputs, "kernel_size": kernel, "bias_term": False}
        self.put("Convolution", name, sizes | parameters)
        self.over("BatchNorm", norms[0], self._norm)
        return self.over("Scale", norms[1], {"bias_term": True})

    def inner_product(self, name: str, outputs: int, **parameters: Any) -> str:
        """Add an inner product with a bias, and multipliers for both."""
        return self.put("InnerProduct", name, {"num_output": outputs} | parameters, multipliers=self._multipliers)

    def max_pooling(self, name: str, kernel: int, stride: int, **parameters: Any) -> str:
        return self.put("Pooling", name, {"pool": "MAX", "kernel_size": kernel, "stride": stride} | parameters)

    def pool_all(self, name: str) -> str:
        """Add a pooling that averages each channel over the whole image."""
        return self.put("Pooling", name, {"pool": "AVE", "global_pooling": True})

    def classified(self, name: str) -> Network:
        """The finished network. The last top must hold one score per category."""
        scores = (self.top, "label")
        self.put("SoftmaxWithLoss", "loss", bottoms=scores, phases=LABELLED)
        self.put("Accuracy", "accuracy", bottoms=scores, phases=LABELLED)
        self.put("Softmax", "softmax", bottoms=scores[:1], phases=("deploy",))
        return Network(name, self._frame.input_shape, tuple(self._layers))
