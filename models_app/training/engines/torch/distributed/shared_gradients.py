"""Sums the gradients of all ranks, by PyTorch's DistributedDataParallel, while the backward pass still computes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from models_app.networks import Network, TimmNetwork
from models_app.networks.layers import data_and_losses
from models_app.training.engines.torch.torch_library import torch

dist = torch.distributed


class OwnGradients:
    """Calls a module whose parameters get the gradients of this process alone."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __call__(self, *inputs: Any) -> Any:
        return self._module(*inputs)

    def of_step(self, is_last: bool) -> AbstractContextManager[None]:
        """A context for both passes of a batch, the last one of a step or another."""
        return nullcontext()


class SharedGradients(OwnGradients):
    """Calls a module whose parameters have the summed gradients of all ranks after the last batch of a step."""

    def __init__(self, module: torch.nn.Module, device: torch.device, network: Network) -> None:
        super().__init__(module)
        devices = [device] if device.type == "cuda" else None
        self._parallel = torch.nn.parallel.DistributedDataParallel(
            module, device_ids=devices, find_unused_parameters=has_idle_weights(network)
        )
        self._parallel.register_comm_hook(None, _sum)

    def __call__(self, *inputs: Any) -> Any:
        return self._parallel(*inputs)

    def of_step(self, is_last: bool) -> AbstractContextManager[None]:
        return nullcontext() if is_last else self._parallel.no_sync()


def has_idle_weights(network: Network) -> bool:
    """Whether the loss does not depend on some of the weights that are trained, which is unknown of the models of timm.
    DistributedDataParallel has to look for those in every step, because it would wait for their gradients."""
    if isinstance(network, TimmNetwork):
        return True
    needed: set[str] = set()
    for node in reversed(network.nodes("train")):
        if isinstance(node.kind, data_and_losses.Loss) or needed.intersection(node.layer.tops):
            needed.update(node.layer.bottoms)
        elif any(weight.trained for weight in node.weights):
            return True
    return False


# Its annotations must be classes, not texts: PyTorch reads them.
def _sum(state: None, bucket: torch.distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """The sum over the ranks, in place of DistributedDataParallel's mean: losses are divided by the size of the whole
    batch already."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])
