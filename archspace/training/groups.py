"""Convolutions in narrow groups, computed on a CPU many groups at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
