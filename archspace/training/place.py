"""A network put where it is computed: its device, its layout, and on a CPU its narrow groups side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.training.mode import Mode

NARROW = range(2, 8)
"""Groups of so many channels leave a CPU's vector registers half empty, eight float32 numbers with AVX2; for groups of
one it has kernels of their own."""
JOINED = (16, 40)
"""How many channels joined groups have together: with fewer little is won, with more the zeros between them cost more
(benchmarks/grouped.py)."""


class JoinedConv2d(nn.Conv2d):
    """A grouped convolution computed with fewer, wider groups: some of its own in each, zeros between them."""

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution makes of (N, in_channels, height, width)."""
        out, inside, *kernel = self.weight.shape
        together = groups_together(self)
        each, joined = out // self.groups, self.groups // together
        own = torch.eye(together, dtype=x.dtype, device=x.device).view(1, together, 1, together, 1, 1, 1)
        weight = self.weight.reshape(joined, together, each, 1, inside, *kernel) * own
        weight = weight.reshape(out, together * inside, *kernel)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, joined)


def place(network: nn.Module, mode: Mode) -> None:
    """Put a network on the mode's device, in its layout; its parameters keep their names and shapes."""
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


def groups_together(conv: nn.Conv2d) -> int:
    """How many groups of a convolution are best computed as one: 1 where they are not narrow, or no number fits."""
    width = conv.in_channels // conv.groups
    if conv.groups == 1 or width not in NARROW or conv.padding_mode != "zeros":
        return 1
    least, most = JOINED
    if conv.in_channels < least:
        return conv.groups
    fitting = (n for n in range(2, conv.groups + 1) if conv.groups % n == 0 and least <= n * width <= most)
    return next(fitting, 1)
