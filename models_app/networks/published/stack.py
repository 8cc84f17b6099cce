"""How the published networks are written down: layer upon layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models_app.networks.graph import Network
from models_app.networks.layer import PHASES, Layer, Multipliers

LABELLED = ("train", "val")

# Weights learn at the solver's rate; biases at twice that and without decay.
WEIGHT_AND_BIAS = (Multipliers(1, 1), Multipliers(2, 0))

# Caffe's own 0.999 takes a thousand batches to forget how the training began.
NORM = {"moving_average_fraction": 0.9}

MSRA = {"weight_filler": {"type": "msra"}}


def xavier(bias: float = 0.0) -> dict[str, Any]:
    """Weights by Glorot and Bengio, biases all alike."""
    return {"weight_filler": {"type": "xavier"}, "bias_filler": {"type": "constant", "value": bias}}


def gaussian(std: float, bias: float = 0.0) -> dict[str, Any]:
    """Weights normal around zero, biases all alike."""
    return {"weight_filler": {"type": "gaussian", "std": std}, "bias_filler": {"type": "constant", "value": bias}}


@dataclass(frozen=True)
class Frame:
    """The shape of what enters the network; crop_size, if it is not 0, is the square that is cut from larger images."""

    input_shape: tuple[int, int, int]
    crop_size: int = 0


class LayerStack:
    """Layers put one upon the other: each takes what the last one made, unless told otherwise.

    `mirror`: half of the images are turned left to right while training. `multipliers`: those of weights and biases.
    """

    def __init__(
        self, frame: Frame, mirror: bool = True, multipliers: tuple[Multipliers, ...] = WEIGHT_AND_BIAS
    ) -> None:
        self._frame = frame
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
        """Add a layer whose top has its name, or `top`. Returns that."""
        taken, self.top = tuple(bottoms) or (self.top,), top or name
        self._layers.append(Layer(name, type, taken, (self.top,), dict(parameters or {}), multipliers, phases))
        return self.top

    def over(self, type: str, name: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Add a layer that writes over its input, as ReLU and Dropout do."""
        return self.put(type, name, parameters, top=self.top, **options)

    def convolution(self, name: str, outputs: int, kernel: int, **parameters: Any) -> str:
        """A convolution with a bias, and multipliers for both."""
        sizes = {"num_output": outputs, "kernel_size": kernel}
        return self.put("Convolution", name, sizes | parameters, multipliers=self._multipliers)

    def normed_convolution(
        self, name: str, norms: tuple[str, str], outputs: int, kernel: int, **parameters: Any
    ) -> str:
        """A convolution without a bias, normalised by batch, with a gain and a bias for each channel.

        `norms` are the names of its BatchNorm and Scale layers.
        """
        sizes = {"num_output": outputs, "kernel_size": kernel, "bias_term": False}
        self.put("Convolution", name, sizes | parameters)
        self.over("BatchNorm", norms[0], NORM)
        return self.over("Scale", norms[1], {"bias_term": True})

    def inner_product(self, name: str, outputs: int, **parameters: Any) -> str:
        """An inner product with a bias, and multipliers for both."""
        return self.put("InnerProduct", name, {"num_output": outputs} | parameters, multipliers=self._multipliers)

    def max_pooling(self, name: str, kernel: int, stride: int, **parameters: Any) -> str:
        return self.put("Pooling", name, {"pool": "MAX", "kernel_size": kernel, "stride": stride} | parameters)

    def pool_all(self, name: str) -> str:
        """Every channel's average."""
        return self.put("Pooling", name, {"pool": "AVE", "global_pooling": True})

    def classified(self, name: str) -> Network:
        """The network: the last top holds a score for each category."""
        scores = (self.top, "label")
        self.put("SoftmaxWithLoss", "loss", bottoms=scores, phases=LABELLED)
        self.put("Accuracy", "accuracy", bottoms=scores, phases=LABELLED)
        self.put("Softmax", "softmax", bottoms=scores[:1], phases=("deploy",))
        return Network(name, self._frame.input_shape, tuple(self._layers))
