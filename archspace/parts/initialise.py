"""How weights start."""

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
    for module in network.modules():
        branch = getattr(module, "branch", None)
        if isinstance(branch, nn.Module):
            last = list(branch.modules())[-1]
            if isinstance(last, nn.BatchNorm2d):
                nn.init.zeros_(last.weight)


INITIALISATIONS = {"he": (initialise_he,), "he-zero-last-norm": (initialise_he_zero_last_norm, initialise_he)}
"""Each name's function, then the functions that it calls."""
