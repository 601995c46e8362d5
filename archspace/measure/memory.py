"""Memory of training, measured on a built network, for the closed form to be held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from archspace.blueprint import Blueprint
    from archspace.network import Network


def saved_bytes(blueprint: Blueprint, batch: int) -> int:
    """Bytes that autograd saves between the images and the scores of a mini-batch in train mode: float32, on the CPU.

    Each storage counts once. Not counted are weights and buffers and what does not grow with the batch, the statistics
    of norms; stochastic depth keeps every branch.
    """
    return _saved(blueprint, batch + 2) - _saved(blueprint, 2)


def _saved(blueprint: Blueprint, batch: int) -> int:
    """Bytes of all storages that autograd saves, without weights and buffers."""
    import torch

    network = _all_branches_kept(blueprint)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    found: dict[int, Tensor] = {}

    def see(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            found[place] = tensor  # held, so that no other tensor takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        network(torch.zeros(batch, *blueprint.input))
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


def _all_branches_kept(blueprint: Blueprint) -> Network:
    from archspace.network import build
    from archspace.parts.survival import BatchSurvival, SampleSurvival

    network = build(blueprint).train()
    for module in network.modules():
        if isinstance(module, BatchSurvival | SampleSurvival):
            module.p = 1.0
    return network


def peak_training_bytes(blueprint: Blueprint, batch: int, device: str = "cpu") -> int:
    """Most bytes of tensors at any one time of a training step, weights and momenta among them; stochastic depth keeps
    every branch.

    The step is one of many: forward pass, loss, backward pass, SGD with Nesterov momentum, gradients set to None before
    it. On a GPU it is what torch's allocator counts, workspaces of cuDNN included; on a CPU what torch's allocator is
    asked for, to which oneDNN's workspaces do not belong.
    """
    import torch

    network = _all_branches_kept(blueprint).to(device)
    raise NotImplementedError
