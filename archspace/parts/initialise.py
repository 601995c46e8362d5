"""How weights start."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def initialise_he(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """He normal for convolutions (He et al. 2015, 1502.01852, Eq. 10), N(0, 0.01) for linear layers, unit norms.

    Biases of convolutions stay as their class sets them.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
            nn.init.zeros_(module.bias)


def initialise_he_zero_last_norm(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """As initialise_he, and a residual branch that ends in a norm starts at zero: blocks begin as their shortcut."""
    initialise_he(network, generator)
    for norm in last_norms(network):
        nn.init.zeros_(norm.weight)


def last_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Norms at the end of branches, where no ReLU follows: at zero it would let no gradient through."""
    branches = [getattr(module, "branch", None) for module in network.modules()]
    ends = dict.fromkeys(list(branch.modules())[-1] for branch in branches if isinstance(branch, nn.Module))
    rectified = {list(module.modules())[-1] for module in network.modules() if getattr(module, "ends_in_relu", False)}
    return [norm for norm in ends if isinstance(norm, nn.BatchNorm2d) and norm not in rectified]


INITIALISATIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "he": (initialise_he,),
    "he-zero-last-norm": (initialise_he_zero_last_norm, initialise_he, last_norms),
}
"""Each name's function, then the functions that it calls."""
