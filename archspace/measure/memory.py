"""Memory of training, measured on a built network, for the closed form to be held against."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archspace.blueprint import Blueprint
from archspace.network import build
from archspace.parts.survival import BatchSurvival, SampleSurvival


def saved_bytes(blueprint: Blueprint, batch: int, bf16: bool = False) -> int:
    """Bytes that autograd saves of `batch` images between images and scores: train mode, on the CPU, no branch skipped.

    Each storage counts once. What does not grow with the batch is not counted: weights, statistics of norms, and with
    `bf16` (autocast, else all is float32) the copies of weights.
    """
    network, fewest = _network(blueprint), 2  # norms cannot train on the one value that an image of a pixel gives
    return _saved(network, blueprint, fewest + batch, bf16) - _saved(network, blueprint, fewest, bf16)


def peak_training_bytes(blueprint: Blueprint, batch: int, device: str = "cpu") -> int:
    """Most bytes that exist at one time in a training step of `batch` images, weights and momenta among them.

    It is a step of many: forward pass, loss, backward pass and SGD with Nesterov momentum, in float32, gradients set to
    None before it, no branch skipped. On a CPU, tensors are counted from operation to operation: what kernels use
    within one of them (oneDNN's reordered weights and workspaces) is not in it. On a GPU it is what torch's allocator
    counts, with the workspaces of cuDNN. On `meta` tensors are counted, and nothing is computed.
    """
    on_gpu = torch.device(device).type == "cuda"
    before = torch.cuda.memory_allocated(device) if on_gpu else 0
    network = _network(blueprint).to(device)
    images = torch.zeros(batch, *blueprint.input, device=device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    optimizer = _optimizer(network)

    def step() -> None:
        loss = F.cross_entropy(network(images), labels, label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        step()  # the first makes the momenta
        optimizer.zero_grad(set_to_none=True)
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
            step()
            return int(torch.cuda.max_memory_allocated(device)) - before
        momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
        living = _Living((images, labels, *network.parameters(), *network.buffers(), *momenta))
        with living:
            step()
    return living.most


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its dispatch modes untyped
    """Within it, the bytes of all storages that exist: those of the tensors it is given and of all that are made."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: dict[int, int] = {}
        self.now = self.most = 0
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        results = function(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor):
                self._add(result)
        return results

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.sizes:
            self.sizes[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, place: int) -> None:
        self.now -= self.sizes.pop(place)


def _saved(network: nn.Module, blueprint: Blueprint, batch: int, bf16: bool) -> int:
    """Bytes of all storages that autograd saves, but for weights and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    found: dict[int, Tensor] = {}

    def see(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            found[place] = tensor  # held, so that no other tensor takes its place
        return tensor

    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        network(torch.zeros(batch, *blueprint.input))
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


def _network(blueprint: Blueprint) -> nn.Module:
    """In train mode, every branch kept."""
    network = build(blueprint, torch.Generator().manual_seed(0)).train()
    for module in network.modules():
        if isinstance(module, BatchSurvival | SampleSurvival):
            module.p = 1.0
    return network


def _optimizer(network: nn.Module) -> torch.optim.SGD:
    """What recipes train with: decay, which takes a copy of what it changes, spares norms and biases."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    spared = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
