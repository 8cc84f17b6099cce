"""Writes models_app/networks/timm/catalogue.json with timm itself, in the environment of PyTorch:

    .venv-torch/bin/python -m tools.make_timm_catalogue [NAME …]

Each network is built without memory for its weights (torch's device "meta"), so all of them take minutes. A network
that gives no scores to categories, or that can't be built so or exported, is left out. With names only those are
written anew.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from typing import Any

import timm
import torch
from torch.nn import functional

from models_app.estimates.network_costs import FLOAT_BYTES, GROUPED
from models_app.networks.timm.timm_catalogue import CATALOGUE, ONLY_ITS_OWN, usual_hub
from models_app.networks.timm.timm_network import block_numbers

CATEGORIES = 10
# The sizes that a network is tried with, in pixels a side: first the smallest that it takes, then whether all do.
SMALLEST, STEPS = (32, 64, 128), (1, 2, 4, 8, 16, 32, 64)
BUILT_STEPS = (16, 14, 32, 28, 56, 64)  # the same for networks that timm builds for one size
LINEAR = (torch.nn.Linear, timm.layers.Linear)
# Beginnings of names: the exporter to ONNX lacks the pooling of csatv2, and the opset of model.onnx the fold of volo.
UNEXPORTABLE = ("csatv2", "volo_")
SAME = {"bilinear": "bilinear"}  # of the interpolations; any other counts as bicubic


class Unsuitable(Exception):
    """A network that is no classifier, not of square images, or not to be exported to ONNX."""


def main(chosen: list[str]) -> None:
    warnings.simplefilter("ignore")
    networks: dict[str, Any] = {}
    if chosen:
        networks = json.loads(CATALOGUE.read_text(encoding="utf-8"))["networks"]
    for name in chosen or timm.list_models():
        try:
            networks[name] = facts(name)
        except Exception as reason:  # noqa: BLE001 - timm and torch raise any kind for what they can't build
            print(f"{name} is left out: {type(reason).__name__} {reason}"[:200], file=sys.stderr)
            networks.pop(name, None)
    lines = (f"{json.dumps(name)}: {json.dumps(networks[name], separators=(',', ':'))}" for name in sorted(networks))
    text = f'{{"timm": {json.dumps(timm.__version__)}, "networks": {{\n' + ",\n".join(lines) + "\n}}\n"
    CATALOGUE.write_text(text, encoding="utf-8")


def facts(name: str) -> dict[str, Any]:
    """The fields of TimmFacts. Raises Unsuitable, and the exceptions of timm and torch."""
    if name.startswith(UNEXPORTABLE):
        raise Unsuitable("it can't be exported to ONNX")
    given = timm.get_pretrained_cfg(name, allow_unregistered=False)
    channels, height, width = given.input_size
    if height != width or channels != len(given.mean):
        raise Unsuitable(f"its images are {given.input_size}")
    classifier = (given.classifier,) if isinstance(given.classifier, str) else tuple(given.classifier or ())
    model = built(name)
    costs = costs_of(model, height) | {"kept": kept_of(model, height)}
    body = [one for one, _ in model.named_parameters() if not _is_head(one, classifier)]
    head = [parameter.numel() for one, parameter in model.named_parameters() if _is_head(one, classifier)]
    per_category, rest = divmod(sum(head), CATEGORIES)
    if rest or not per_category:
        raise Unsuitable(f"its head {classifier} does not grow with the categories")
    step, smallest = built_sizes(name, model, height) if given.fixed_input_size else sizes(name, model, height)
    return {
        "size": height,
        "mean": list(given.mean),
        "std": list(given.std),
        "crop": min(1.0, given.crop_pct),
        "interpolation": SAME.get(given.interpolation, "bicubic"),
        "size_step": step,
        "smallest": smallest,
        "parameters": sum(parameter.numel() for parameter in model.parameters()) - sum(head),
        "per_category": per_category,
        "tensors": [body[0], body[-1]],
        "classifier": list(classifier),
        "blocks": 1 + max(block_numbers(body).values()),
        **costs,
        **({"is_built_for_size": True} if given.fixed_input_size and step else {}),
        **({"features": features} if (features := features_of(model, classifier, height)) else {}),
        "weights": published(name),
    }


def built(name: str, **options: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False, num_classes=CATEGORIES, **options).eval()


def scores(model: torch.nn.Module, side: int) -> None:
    """Compute the scores of two images. Raises Unsuitable if they are none."""
    with torch.no_grad():
        found = model(torch.empty(2, 3, side, side, device="meta"))
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (2, CATEGORIES):
        raise Unsuitable(f"it computes no scores, but {getattr(found, 'shape', type(found))}")


def _is_head(parameter: str, classifier: tuple[str, ...]) -> bool:
    return parameter.startswith(tuple(f"{module}." for module in classifier))


def sizes(name: str, model: torch.nn.Module, own: int) -> tuple[int, int]:
    """The steps and the smallest of the sizes that the network takes."""
    for smallest in (side for side in SMALLEST if side < own):
        if takes(model, smallest) and takes(model, 2 * smallest):
            step = next((step for step in STEPS if takes(model, 2 * smallest + step)), ONLY_ITS_OWN)
            if step and (own - smallest) % step == 0:
                return step, smallest
    return ONLY_ITS_OWN, own


def built_sizes(name: str, model: torch.nn.Module, own: int) -> tuple[int, int]:
    """The same of a network that timm builds for one size: steps of whole patches."""
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", 1)
    side = patch if isinstance(patch, int) else patch[0]
    steps = [step for step in BUILT_STEPS if step % side == 0]
    step = next((step for step in steps if can_be_built(name, own + step)), ONLY_ITS_OWN)
    if not step:
        return ONLY_ITS_OWN, own
    smallest = own - own * 7 // 8 // step * step
    return step, smallest if smallest >= 2 * step and can_be_built(name, smallest) else own


def can_be_built(name: str, side: int) -> bool:
    try:
        scores(built(name, img_size=(side, side)), side)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def takes(model: torch.nn.Module, side: int) -> bool:
    try:
        scores(model, side)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def costs_of(model: torch.nn.Module, side: int) -> dict[str, int]:
    """Multiplications, work and values of one image, as estimates count them."""
    totals = dict.fromkeys(("multiplications", "work", "values"), 0)

    def add(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor):
            return
        numbers, weight = math.prod(output.shape[1:]), getattr(module, "weight", None)
        multiplied = 0
        if isinstance(weight, torch.Tensor) and weight.dim() > 1:
            multiplied = weight.numel() * numbers // getattr(module, "out_channels", output.shape[-1])
        slow = GROUPED if getattr(module, "groups", 1) > 1 else 1
        for total, more in zip(totals, (multiplied, multiplied * slow, numbers), strict=True):
            totals[total] += more

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(add) for module in leaves]
    scores(model, side)
    for hook in hooks:
        hook.remove()
    return totals


def kept_of(model: torch.nn.Module, side: int) -> int:
    """How many numbers of one image stay in memory from the forward pass of a training to its backward pass."""
    own = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    attention = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = fused_attention  # on "meta" PyTorch would keep the products of all pairs
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.train()(torch.empty(2, 3, side, side, device="meta"))
    finally:
        functional.scaled_dot_product_attention = attention
        model.eval()
    return sum(storage.nbytes() for storage in kept.values()) // FLOAT_BYTES // 2


class FusedAttention(torch.autograd.Function):
    """Keeps what PyTorch's attention keeps on CPUs and GPUs: its inputs and its output."""

    @staticmethod
    def forward(context: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        found = query.new_empty(*query.shape[:-1], value.shape[-1])
        context.save_for_backward(query, key, value, found)
        return found


def fused_attention(query: Any, key: Any, value: Any, *arguments: Any, **options: Any) -> torch.Tensor:
    return FusedAttention.apply(query, key, value)


def features_of(model: torch.nn.Module, classifier: tuple[str, ...], side: int) -> int:
    """How many numbers the head reads, if it is one linear layer and the model without it computes these; else 0. The
    model has lost its head afterwards."""
    head = model.get_submodule(classifier[0])
    if len(classifier) > 1 or type(head) not in LINEAR or head.bias is None:
        return 0
    body = {name for name in model.state_dict() if not _is_head(name, classifier)}
    model.reset_classifier(0)
    with torch.no_grad():
        found = model(torch.empty(2, 3, side, side, device="meta"))
    is_same = set(model.state_dict()) == body and tuple(found.shape) == (2, head.in_features)
    return head.in_features if is_same else 0


def published(name: str) -> dict[str, list[Any]]:
    """{tag: [categories, licence, hub]}, timm's preferred weights first; the hub only where it is not the usual one."""
    preferred = timm.get_pretrained_cfg(name).tag
    found = [timm.get_pretrained_cfg(full) for full in timm.list_models(name, include_tags=True)]
    weights = {}
    for one in sorted(found, key=lambda one: one.tag != preferred):
        if one.has_weights and one.tag:
            hub = one.hf_hub_id or ""
            own = [] if hub == usual_hub(name, one.tag) else [hub]
            weights[one.tag] = [one.num_classes, one.license or "", *own]
    return weights


if __name__ == "__main__":
    main(sys.argv[1:])
