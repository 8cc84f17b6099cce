"""Files of ImageNet weights that libraries publish, for `manage.py weights fetch`."""

from __future__ import annotations

from dataclasses import dataclass

from digits_project.common.errors import BadInput
from models_app.networks.timm.timm_catalogue import PREFIX, facts_of, is_timm

TORCHVISION = "https://download.pytorch.org/models/"
HUB = "https://huggingface.co/"
HUB_DOMAINS = ("huggingface.co", "hf.co")  # the hub redirects to hosts of these, where its files lie
OF_TIMM = "timm/"  # begins the names of timm's weights


@dataclass(frozen=True)
class PublishedFile:
    """ImageNet weights that fit the layers of a standard network, and compute the same there.

    network: the standard network. base, path: the file's URL; a mirror has the same paths below another base.
    sha256: the digest of the file, or its start; "" if it isn't known here: the hub reports it.
    domains: the hosts to which the publisher redirects; () if it doesn't.
    """

    network: str
    base: str
    path: str
    sha256: str = ""
    domains: tuple[str, ...] = ()

    def url(self, mirror: str | None = None) -> str:
        """Its address, or that on a mirror."""
        return (mirror.rstrip("/") + "/" if mirror else self.base) + self.path

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]


def of_torchvision(network: str, file: str) -> PublishedFile:
    """torchvision's weights. The name of the file ends with the start of its SHA-256."""
    return PublishedFile(network, TORCHVISION, file, file.rpartition("-")[2].removesuffix(".pth"))


def of_timm(network: str, name: str, sha256: str = "") -> PublishedFile:
    """timm's weights by their name, an architecture and a tag, which is that of their repository on the hub."""
    path = f"{OF_TIMM}{name}/resolve/main/model.safetensors"
    return PublishedFile(network, HUB, path, sha256, HUB_DOMAINS)


# timm's ResNets that are published under a licence without conditions on use: not those of fb_ssl and fb_swsl.
RESNET18 = ("a1_in1k", "a2_in1k", "a3_in1k", "tv_in1k", "gluon_in1k")
RESNET50 = (
    "a1_in1k", "a1h_in1k", "a2_in1k", "a3_in1k", "am_in1k", "b1k_in1k", "b2k_in1k", "bt_in1k", "c1_in1k", "c2_in1k",
    "d_in1k", "gluon_in1k", "ra_in1k", "ram_in1k", "tv_in1k", "tv2_in1k",
)  # fmt: skip
# {name: (standard network, SHA-256 if it is known)}. Only networks that pad and normalize as ours do:
# efficientnet_lite0 of timm has the same tensors as tf_efficientnet_lite0, but pads otherwise.
TIMM = {
    "mobilenetv2_100.ra_in1k": ("mobilenet_v2", ""),
    **{f"resnet18.{tag}": ("resnet18_torch", "") for tag in RESNET18},
    "resnet18.a1_in1k": ("resnet18_torch", "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612"),
    **{f"resnet50.{tag}": ("resnet50_torch", "") for tag in RESNET50},
    "resnet50.a1_in1k": ("resnet50_torch", "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb"),
    "tf_efficientnet_lite0.in1k": ("efficientnet_lite0", ""),
    "vgg16.tv_in1k": ("vgg16", ""),
}

# torchvision's by the name of the standard network, timm's by their own.
PUBLISHED_FILES = {
    "alexnet_torch": of_torchvision("alexnet_torch", "alexnet-owt-7be5be79.pth"),
    "googlenet_torch": of_torchvision("googlenet_torch", "googlenet-1378be20.pth"),
    "mobilenet_v2": of_torchvision("mobilenet_v2", "mobilenet_v2-b0353104.pth"),
    "resnet18_torch": of_torchvision("resnet18_torch", "resnet18-f37072fd.pth"),
    "resnet50_torch": of_torchvision("resnet50_torch", "resnet50-0676ba61.pth"),
    "squeezenet": of_torchvision("squeezenet", "squeezenet1_1-b8a52dc0.pth"),
    "vgg16": of_torchvision("vgg16", "vgg16-397923af.pth"),
    **{OF_TIMM + name: of_timm(network, name, sha256) for name, (network, sha256) in TIMM.items()},
}


def find_published(name: str) -> PublishedFile:
    """The file of that name: one of PUBLISHED_FILES, or any weights on timm's hub, for a network of timm. Raises
    BadInput if there is none."""
    if name in PUBLISHED_FILES:
        return PUBLISHED_FILES[name]
    if not is_timm(name):
        raise BadInput(f"There are no published weights {name!r}. Choose one of {', '.join(PUBLISHED_FILES)}.")
    model, _, tag = name.removeprefix(PREFIX).partition(".")
    tags = [one.tag for one in facts_of(model).weights if one.hub == name]
    if tag in tags:
        return of_timm(PREFIX + model, name.removeprefix(PREFIX))
    there = [one.hub for one in facts_of(model).weights if is_timm(one.hub)]
    raise BadInput(f"timm publishes no weights {name!r}. There are {', '.join(there) or 'none'} for this network.")
