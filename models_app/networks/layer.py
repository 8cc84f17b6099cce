"""A layer as data, and the exception for a network that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from digits_project.common.errors import BadInput

PHASES = ("train", "val", "deploy")


class BadNetwork(BadInput):
    """A network that can't be built; the text names the layer."""


@dataclass(frozen=True)
class Multipliers:
    """Factors on the solver's learning rate and weight decay for one of a layer's weights (Caffe's lr_mult,
    decay_mult)."""

    lr_mult: float = 1.0
    decay_mult: float = 1.0


@dataclass(frozen=True)
class Layer:
    """One layer, with Caffe's names.

    `parameters` are those of its type under their Caffe names (num_output, kernel_size …). `multipliers` belong to the
    layer's weights in Caffe's order (weight, bias); missing ones are 1. `phases` names the phases that have the layer:
    train, val, deploy.
    """

    name: str
    type: str
    bottoms: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    multipliers: tuple[Multipliers, ...] = ()
    phases: tuple[str, ...] = PHASES

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON values; from_dict gives an equal layer back."""
        return {
            "name": self.name,
            "type": self.type,
            "bottoms": list(self.bottoms),
            "tops": list(self.tops),
            "parameters": dict(self.parameters),
            "multipliers": [{"lr_mult": m.lr_mult, "decay_mult": m.decay_mult} for m in self.multipliers],
            "phases": list(self.phases),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Layer:
        return cls(
            name=data["name"],
            type=data["type"],
            bottoms=tuple(data["bottoms"]),
            tops=tuple(data["tops"]),
            parameters=dict(data["parameters"]),
            multipliers=tuple(Multipliers(**m) for m in data["multipliers"]),
            phases=tuple(data["phases"]),
        )
