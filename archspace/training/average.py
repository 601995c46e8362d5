"""An average of a network's weights over the steps of its training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of parameters, which can stand in for them; it begins as they are.

    While few steps are done the decay is lower, (1 + steps) / (10 + steps), so that the beginning is forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}

    def update(self, network: nn.Module) -> None:
        """Take a step's weights in."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        live = [value.detach() for value in network.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), live, 1 - decay)

    @contextlib.contextmanager
    def standing_in(self, network: nn.Module) -> Iterator[None]:
        """The network with these weights; its own come back after."""
        live = {name: value.detach().clone() for name, value in network.named_parameters()}
        put(network, self.weights)
        try:
            yield
        finally:
            put(network, live)

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """What a training needs to go on: the network's own weights, by the name `live.NAME`, and the steps done.

        The average itself is what checkpoints hold as the network.
        """
        live = {f"live.{name}": value.detach().clone() for name, value in network.named_parameters()}
        return {**live, "steps": torch.tensor(self.steps)}

    def resume(self, network: nn.Module, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint whose network, loaded already, is the average."""
        self.steps = int(state["steps"])
        self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}
        put(network, {name: state[f"live.{name}"] for name in self.weights})


def put(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a network these parameters."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.copy_(weights[name])
