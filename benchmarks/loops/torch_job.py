"""A short training in PyTorch, from a folder of photos to a file of weights.

Arguments: FOLDER NETWORK SIZE BATCH EPOCHS THREADS OUT. It does what a careful script does: images are decoded and
resized once, on all cores; a quarter is held back and validated after each epoch, when the weights are saved, too.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.loops.torch_loop import NETWORKS

CHANNELS = 3


def main(folder: Path, name: str, size: int, batch_size: int, epochs: int, threads: int, out: Path) -> None:
    categories = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(file, number) for number, category in enumerate(categories) for file in sorted(category.iterdir())]
    with ProcessPoolExecutor(threads) as pool:
        pixels = np.stack(list(pool.map(partial(read, size=size), [file for file, _ in files], chunksize=16)))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    labels = torch.tensor([number for _, number in files])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    order = torch.randperm(len(files))
    validated, trained = order[: len(files) // 4], order[len(files) // 4 :]
    mean = images[trained].float().mean(dim=(0, 2, 3), keepdim=True)
    network = NETWORKS[name](CHANNELS, size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)

    def batch_of(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (images[numbers].float() - mean).to(memory_format=torch.channels_last), labels[numbers]

    for epoch in range(epochs):
        network.train()
        for numbers in trained[torch.randperm(len(trained))].split(batch_size):
            inputs, expected = batch_of(numbers)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(inputs), expected).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            right = sum(
                int((network(inputs).argmax(1) == expected).sum())
                for inputs, expected in map(batch_of, validated.split(batch_size))
            )
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, out / f"epoch-{epoch}.pt")
        print(epoch, right / len(validated), flush=True)


def read(file: Path, size: int) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:7]), Path(sys.argv[7]))
