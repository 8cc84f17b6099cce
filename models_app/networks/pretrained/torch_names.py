"""The names that PyTorch's libraries give the layers of our standard networks: torchvision, timm and others.

A module there is a layer here; its BatchNorm is a BatchNorm and a Scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models_app.networks.published import efficientnet_lite, googlenet, mobilenet, resnet, squeezenet, vgg16

# A module, and the layer or the (BatchNorm, Scale) that it is here.
Module = tuple[str, "str | tuple[str, str]"]


@dataclass(frozen=True)
class Naming:
    """The modules of a standard network as a library names them.

    network: its name here. library: who names the modules so.
    """

    network: str
    library: str
    modules: tuple[Module, ...]

    def names(self) -> dict[str, str]:
        """{weight of ours: tensor of the library}. A BatchNorm's `factor` is missing: their averages have none."""
        found: dict[str, str] = {}
        for module, layer in self.modules:
            if isinstance(layer, str):
                found |= {f"{layer}.{role}": f"{module}.{role}" for role in ("weight", "bias")}
            else:
                norm, scale = layer
                found |= {f"{norm}.mean": f"{module}.running_mean", f"{norm}.variance": f"{module}.running_var"}
                found |= {f"{scale}.{role}": f"{module}.{role}" for role in ("weight", "bias")}
        return found


def _normed(convolution: str, norm: str, layer: str) -> list[Module]:
    """A convolution and its BatchNorm, for the networks whose Scale is called <layer>/scale."""
    return [(convolution, layer), (norm, (f"{layer}/bn", f"{layer}/scale"))]


def _parts(block: str, parts: Sequence[str], names: Sequence[tuple[str, str]]) -> list[Module]:
    """The normed convolutions of an inverted residual block: its last parts, if it has no expansion."""
    chosen = ("expand", "depthwise", "linear")[-len(parts) :]
    return [
        module
        for part, own, (convolution, norm) in zip(parts, chosen, names, strict=True)
        for module in _normed(f"{part}{convolution}", f"{part}{norm}", f"{block}/{own}")
    ]


def _timm_mobile(stages: Sequence[int]) -> Iterator[Module]:
    """timm's MobileNets and EfficientNets; `stages` are the numbers of their blocks."""
    yield from _normed("conv_stem", "bn1", "conv1")
    number = 0
    for stage, count in enumerate(stages):
        for place in range(count):
            number += 1
            prefix = f"blocks.{stage}.{place}."
            convolutions = ("conv_pw", "conv_dw", "conv_pwl") if stage else ("conv_dw", "conv_pw")
            names = [(name, f"bn{i}") for i, name in enumerate(convolutions, start=1)]
            yield from _parts(f"block{number}", [prefix] * len(names), names)
    yield from _normed("conv_head", "bn2", "conv2")
    yield "classifier", "fc"


def _torchvision_mobilenet() -> Iterator[Module]:
    yield from _normed("features.0.0", "features.0.1", "conv1")
    blocks = sum(count for _, _, count, _ in mobilenet.BLOCKS)
    for number in range(1, blocks + 1):
        prefix = f"features.{number}.conv."
        pairs = [("0.0", "0.1"), ("1", "2")] if number == 1 else [("0.0", "0.1"), ("1.0", "1.1"), ("2", "3")]
        yield from _parts(f"block{number}", [prefix] * len(pairs), pairs)
    yield from _normed(f"features.{blocks + 1}.0", f"features.{blocks + 1}.1", "conv2")
    yield "classifier.1", "fc"


def _packaged_efficientnet() -> Iterator[Module]:
    """The names of efficientnet-lite-pytorch, which follow those of efficientnet-pytorch."""
    yield from _normed("_conv_stem", "_bn0", "conv1")
    for number in range(sum(count for _, _, _, count, _ in efficientnet_lite.STAGES)):
        names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        names = names if number else names[1:]
        yield from _parts(f"block{number + 1}", [f"_blocks.{number}."] * len(names), names)
    yield from _normed("_conv_head", "_bn1", "conv2")
    yield "_fc", "fc"


def _torch_resnet(blocks: Sequence[int], convolutions: int) -> Iterator[Module]:
    """torchvision's and timm's ResNets: `blocks` of each stage, and the convolutions in a block."""
    yield from _caffe_normed("conv1", "bn1", "conv1", "_conv1")
    for stage, count in enumerate(blocks, start=1):
        for place, letter in enumerate("abcdef"[:count]):
            theirs, ours = f"layer{stage}.{place}.", f"{stage + 1}{letter}_branch"
            for number, branch in zip(range(1, convolutions + 1), "abc", strict=False):
                name = f"{ours}2{branch}"
                yield from _caffe_normed(f"{theirs}conv{number}", f"{theirs}bn{number}", f"res{name}", name)
            yield from _caffe_normed(f"{theirs}downsample.0", f"{theirs}downsample.1", f"res{ours}1", f"{ours}1")
    yield "fc", "fc1000"


def _caffe_normed(convolution: str, norm: str, layer: str, part: str) -> list[Module]:
    """A convolution and its BatchNorm with the names of Caffe's ResNets."""
    return [(convolution, layer), (norm, (f"bn{part}", f"scale{part}"))]


def _torchvision_squeezenet() -> Iterator[Module]:
    yield "features.0", "conv1"
    place = 3  # after conv1, its ReLU and the first pooling
    for number in squeezenet.SQUEEZED:
        for part in ("squeeze", "expand1x1", "expand3x3"):
            yield f"features.{place}.{part}", f"fire{number}/{'squeeze1x1' if part == 'squeeze' else part}"
        place += 2 if number in squeezenet.POOLED_AFTER else 1
    yield "classifier.1", "conv10"


def _vgg_convolutions() -> Iterator[Module]:
    place = 0
    for stage, (_, convolutions) in enumerate(vgg16.STAGES, start=1):
        for number in range(1, convolutions + 1):
            yield f"features.{place}", f"conv{stage}_{number}"
            place += 2  # a ReLU follows
        place += 1  # a pooling


def _torchvision_googlenet() -> Iterator[Module]:
    for name in ("conv1", "conv2", "conv3"):
        yield from _normed(f"{name}.conv", f"{name}.bn", name)
    for name in googlenet.INCEPTIONS:
        parts = {"branch1": "branch1", "branch2.0": "branch2_reduce", "branch2.1": "branch2",
                 "branch3.0": "branch3_reduce", "branch3.1": "branch3", "branch4.1": "branch4"}  # fmt: skip
        for theirs, ours in parts.items():
            module = f"inception{name}.{theirs}"
            yield from _normed(f"{module}.conv", f"{module}.bn", f"inception{name}/{ours}")
    yield "fc", "fc"


FULLY_CONNECTED = (("classifier.0", "fc6"), ("classifier.3", "fc7"), ("classifier.6", "fc8"))
TIMM_FULLY_CONNECTED = (("pre_logits.fc1", "fc6"), ("pre_logits.fc2", "fc7"), ("head.fc", "fc8"))
ALEXNET = (
    ("features.0", "conv1"), ("features.3", "conv2"), ("features.6", "conv3"), ("features.8", "conv4"),
    ("features.10", "conv5"), ("classifier.1", "fc6"), ("classifier.4", "fc7"), ("classifier.6", "fc8"),
)  # fmt: skip
RESNETS = {"resnet18_torch": (resnet.BLOCKS_18, 2), "resnet50_torch": (resnet.BLOCKS_50, 3)}

NAMINGS = (
    Naming("efficientnet_lite0", "efficientnet-lite-pytorch", tuple(_packaged_efficientnet())),
    Naming("efficientnet_lite0", "timm", tuple(_timm_mobile([count for *_, count, _ in efficientnet_lite.STAGES]))),
    Naming("mobilenet_v2", "torchvision", tuple(_torchvision_mobilenet())),
    Naming("mobilenet_v2", "timm", tuple(_timm_mobile([count for *_, count, _ in mobilenet.BLOCKS]))),
    *(Naming(name, "torchvision and timm", tuple(_torch_resnet(*facts))) for name, facts in RESNETS.items()),
    Naming("squeezenet", "torchvision", tuple(_torchvision_squeezenet())),
    Naming("vgg16", "torchvision", (*_vgg_convolutions(), *FULLY_CONNECTED)),
    Naming("vgg16", "timm", (*_vgg_convolutions(), *TIMM_FULLY_CONNECTED)),
    Naming("alexnet_torch", "torchvision", ALEXNET),
    Naming("googlenet_torch", "torchvision", tuple(_torchvision_googlenet())),
)
