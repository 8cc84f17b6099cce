"""Files of weights that are published elsewhere, for `manage.py weights fetch`."""

from __future__ import annotations

from dataclasses import dataclass

BASE = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class PublishedFile:
    """torchvision's ImageNet weights for a standard network. The name ends with the start of the file's SHA-256."""

    network: str
    file: str

    @property
    def url(self) -> str:
        return BASE + self.file

    @property
    def sha256_start(self) -> str:
        return self.file.rpartition("-")[2].removesuffix(".pth")


PUBLISHED_FILES = {
    published.network: published
    for published in (
        PublishedFile("alexnet_torch", "alexnet-owt-7be5be79.pth"),
        PublishedFile("googlenet_torch", "googlenet-1378be20.pth"),
        PublishedFile("mobilenet_v2", "mobilenet_v2-b0353104.pth"),
        PublishedFile("resnet18_torch", "resnet18-f37072fd.pth"),
        PublishedFile("resnet50_torch", "resnet50-0676ba61.pth"),
        PublishedFile("squeezenet", "squeezenet1_1-b8a52dc0.pth"),
        PublishedFile("vgg16", "vgg16-397923af.pth"),
    )
}
