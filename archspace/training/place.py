"""A network put where it is computed."""

from __future__ import annotations

import torch
from torch import nn

from archspace.training.groups import JoinedConv2d, groups_together
from archspace.training.mode import Mode
from archspace.training.subsampled import SubsampledConv2d, is_unsafe


def place(network: nn.Module, mode: Mode) -> None:
    """Put a network on the mode's device, in its layout; on a CPU some convolutions are computed in ways of our own.

    Narrow groups are joined in fp32, strided 1x1 convolutions of few channels subsampled in channels_last. Parameters
    keep their names and shapes.
    """
    network.to(mode.device, memory_format=layout_of(mode))  # type: ignore[call-overload]
    for module in network.modules():
        if type(module) in (nn.Conv2d, JoinedConv2d, SubsampledConv2d):
            # The class alone changes, so that nobody who holds the module, or its parameters, loses it.
            module.__class__ = _way(module, mode)  # type: ignore[arg-type]  # one of the three


def layout_of(mode: Mode) -> torch.memory_format:
    """The order in which torch lays out images."""
    return torch.channels_last if mode.channels_last else torch.contiguous_format


def _way(conv: nn.Conv2d, mode: Mode) -> type[nn.Conv2d]:
    if mode.device != "cpu":
        return nn.Conv2d
    if mode.channels_last and is_unsafe(conv):
        return SubsampledConv2d
    return JoinedConv2d if not mode.bf16 and groups_together(conv) > 1 else nn.Conv2d
