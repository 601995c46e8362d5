"""A network put where it is computed."""

from __future__ import annotations

import torch
from torch import nn

from archspace.training.groups import JoinedConv2d, groups_together
from archspace.training.mode import Mode


def place(network: nn.Module, mode: Mode) -> None:
    """Put a network on the mode's device, in its layout; on a CPU narrow groups are joined in fp32.

    Parameters keep their names and shapes.
    """
    network.to(mode.device, memory_format=layout_of(mode))  # type: ignore[call-overload]
    for module in network.modules():
        if type(module) in (nn.Conv2d, JoinedConv2d):
            conv: nn.Conv2d = module  # type: ignore[assignment]  # one of the two
            join = mode.device == "cpu" and not mode.bf16 and groups_together(conv) > 1
            # The class alone changes, so that nobody who holds the module, or its parameters, loses it.
            conv.__class__ = JoinedConv2d if join else nn.Conv2d


def layout_of(mode: Mode) -> torch.memory_format:
    """The order in which torch lays out images."""
    return torch.channels_last if mode.channels_last else torch.contiguous_format
