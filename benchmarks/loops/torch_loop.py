"""The same networks in PyTorch, channels last: `torch_loop NETWORK SIZE BATCH CHANNELS THREADS train|validate`.

It runs in a PyTorch environment, which need not have anything else of this project's.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from benchmarks.loops.rounds import serve


class Block(nn.Module):
    """ResNet's basic block (He et al. 2015): two 3×3 convolutions beside a shortcut."""

    def __init__(self, made: int, channels: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(made, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        shortcut = [nn.Conv2d(made, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)]
        self.shortcut = nn.Sequential(*shortcut) if stride != 1 or made != channels else nn.Identity()

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(value) + self.shortcut(value))


def resnet18(channels: int, _: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, 1))
    made = 64
    for stage in range(4):
        for number in range(2):
            layers.append(Block(made, 64 << stage, 2 if number == 0 and stage > 0 else 1))
            made = 64 << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(made, 10))


def lenet(channels: int, size: int) -> nn.Module:
    pooled = -(-(-(-(size - 4) // 2) - 4) // 2)  # two convolutions of 5×5, each with a pooling that rounds up
    pooling = {"kernel_size": 2, "stride": 2, "ceil_mode": True}
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5),
        nn.MaxPool2d(**pooling),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(**pooling),
        nn.Flatten(),
        nn.Linear(50 * pooled * pooled, 500),
        nn.ReLU(inplace=True),
        nn.Linear(500, 10),
    )


NETWORKS = {"resnet18": resnet18, "lenet": lenet}


def main(name: str, size: int, batch_size: int, channels: int, threads: int, mode: str) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = NETWORKS[name](channels, size).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    shape = (batch_size, channels, size, size)
    batches = [
        (torch.randn(shape).to(memory_format=torch.channels_last), torch.randint(0, 10, (batch_size,)))
        for _ in range(4)
    ]

    def train(steps: int) -> None:
        for step in range(steps):
            images, labels = batches[step % len(batches)]
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()

    @torch.no_grad()
    def validate(steps: int) -> None:
        network.eval()
        loss, right = 0.0, 0
        for step in range(steps):
            images, labels = batches[step % len(batches)]
            scores = network(images)
            loss += float(nn.functional.cross_entropy(scores, labels))
            right += int((scores.argmax(1) == labels).sum())

    serve({"train": train, "validate": validate}[mode], batch_size)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6])
