"""What four runs of timm reach on folders of photos: `python -m benchmarks.accuracy.timm_runs TRAIN VAL`.

Each run fine-tunes tf_efficientnet_lite0 as people who know timm do, with the ImageNet weights that come with this
server; so a recipe and a run differ in the training alone. It runs in PyTorch's environment, computes on the CPU or a
GPU, and prints the accuracy of the best and of the last epoch, and the seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from timm.data import Mixup, create_transform, resolve_data_config
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from models_app.networks.pretrained.packaged import EFFICIENTNET_LITE0
from models_app.networks.pretrained.torch_names import NAMINGS

ARCHITECTURE = "tf_efficientnet_lite0"
BATCH = 32
SMOOTHING = 0.1
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Run:
    """Settings of a training.

    head_epochs: at the beginning, in which only the last layer learns. rate: the learning rate, which falls to 0 by a
    cosine. layer_decay: a layer's rate as a multiple of that of the next one. augmentation: arguments of
    timm.data.create_transform. mixup: its alpha; 0 for none. ema: the decay of the weights' average; 0 for none.
    """

    optimizer: str
    rate: float
    epochs: int
    head_epochs: int = 0
    weight_decay: float = 0.05
    layer_decay: float | None = None
    mixup: float = 0.0
    ema: float = 0.0
    augmentation: dict[str, Any] = field(default_factory=dict)


CROPS = {"scale": (0.35, 1.0), "hflip": 0.5, "color_jitter": 0.2}
RUNS = {
    "head": Run("adamw", 1e-3, 20, head_epochs=20, augmentation={"scale": (0.6, 1.0), "hflip": 0.5}),
    "adamw": Run("adamw", 3e-4, 15, augmentation=CROPS),
    "sgd": Run("momentum", 0.01, 15, weight_decay=1e-4, ema=0.97, augmentation=CROPS),
    "two steps": Run("adamw", 5e-4, 18, head_epochs=3, layer_decay=0.8, mixup=0.2, ema=0.97,
                     augmentation={"scale": (0.35, 1.0), "auto_augment": "rand-m5-n2-mstd0.5"}),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.timm_runs", description=__doc__)
    parser.add_argument("train", help="a folder with a subfolder for each category")
    parser.add_argument("val", help="the same with other images")
    parser.add_argument("--only", default=",".join(RUNS), help="the runs, joined by commas")
    options = parser.parse_args()
    print(f"{'run':10} {'best':>7} {'last':>7} {'seconds':>8}", flush=True)
    for name in options.only.split(","):
        began = time.perf_counter()
        accuracies = train(RUNS[name], options.train, options.val)
        seconds = time.perf_counter() - began
        print(f"{name:10} {max(accuracies):7.1%} {accuracies[-1]:7.1%} {seconds:8.0f}", flush=True)
    return 0


def train(run: Run, train_folder: str, val_folder: str) -> list[float]:
    """The accuracy on the validation images after each epoch, 0 to 1."""
    torch.manual_seed(1)
    batches, validation, categories = _data(run, train_folder, val_folder)
    model = pretrained(categories).to(DEVICE)
    average = ModelEmaV3(model, decay=run.ema) if run.ema else None
    mix = Mixup(mixup_alpha=run.mixup, label_smoothing=SMOOTHING, num_classes=categories) if run.mixup else None
    loss = SoftTargetCrossEntropy() if mix else nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    accuracies = []
    for epochs, trained in ((run.head_epochs, "head"), (run.epochs - run.head_epochs, "all")):
        for step in _epochs(run, model, epochs, trained, len(batches)):
            for images, labels in batches:
                step(images.to(DEVICE), labels.to(DEVICE), mix, loss)
                if average:
                    average.update(model)
            accuracies.append(_accuracy(average.module if average else model, validation))
    return accuracies


def pretrained(categories: int) -> nn.Module:
    """timm's network with the packaged ImageNet weights and a new last layer."""
    path = EFFICIENTNET_LITE0.path()
    if path is None:
        raise SystemExit(f"The package {EFFICIENTNET_LITE0.package} is not installed in this environment.")
    names = {naming.library: naming.names() for naming in NAMINGS if naming.network == EFFICIENTNET_LITE0.network}
    theirs, packaged = names["timm"], names["efficientnet-lite-pytorch"]
    tensors = torch.load(path, weights_only=True)
    values = {theirs[ours]: tensors[name] for ours, name in packaged.items() if name in tensors}
    model = timm.create_model(ARCHITECTURE)
    missing, _ = model.load_state_dict(values, strict=False)
    if missing := [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise SystemExit(f"The packaged weights lack {', '.join(missing)}.")
    model.reset_classifier(categories)
    return model


def _data(run: Run, train_folder: str, val_folder: str) -> tuple[DataLoader, DataLoader, int]:
    config = resolve_data_config(model=timm.create_model(ARCHITECTURE))
    shared = {"input_size": config["input_size"], "mean": config["mean"], "std": config["std"]}
    training = create_transform(**shared, is_training=True, interpolation="bicubic", **run.augmentation)
    plain = create_transform(**shared, crop_pct=config["crop_pct"], interpolation=config["interpolation"])
    images = ImageFolder(train_folder, training)
    batches = DataLoader(images, BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    return batches, DataLoader(ImageFolder(val_folder, plain), BATCH, num_workers=2), len(images.classes)


Step = Callable[[torch.Tensor, torch.Tensor, "Mixup | None", nn.Module], None]


def _epochs(run: Run, model: nn.Module, epochs: int, trained: str, batches: int) -> Iterator[Step]:
    """For each epoch, a function that makes the step of a batch."""
    if not epochs:
        return
    head = set(model.get_classifier().parameters())
    for parameter in model.parameters():
        parameter.requires_grad = trained == "all" or parameter in head
    optimizer = create_optimizer_v2(
        model if trained == "all" else model.get_classifier(), run.optimizer, run.rate if trained == "all" else 1e-3,
        run.weight_decay, layer_decay=run.layer_decay if trained == "all" else None,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: 0.5 * (1 + torch.cos(torch.tensor(done / (epochs * batches) * torch.pi)).item())
    )

    def step(images: torch.Tensor, labels: torch.Tensor, mix: Mixup | None, loss: nn.Module) -> None:
        if mix:
            images, labels = mix(images, labels)
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()
        schedule.step()

    for _ in range(epochs):
        model.train(trained == "all")  # the averages of BatchNorm stay while only the head learns
        yield step


@torch.no_grad()
def _accuracy(model: nn.Module, validation: DataLoader) -> float:
    model.eval()
    right = sum(int((model(images.to(DEVICE)).argmax(1).cpu() == labels).sum()) for images, labels in validation)
    return right / len(validation.dataset)


if __name__ == "__main__":
    sys.exit(main())
