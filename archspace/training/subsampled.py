"""Strided 1x1 convolutions of few channels, computed on a CPU as unstrided ones of the pixels that count."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

FEW = 8
"""Input channels below which torch 2.13 on AVX2 writes beyond its memory where the gradient of such a convolution's
weights is computed in channels_last order, in float32."""


class SubsampledConv2d(nn.Conv2d):
    """A 1x1 convolution whose stride is applied to its input: the same numbers by another kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution makes of (N, in_channels, height, width)."""
        down, across = self.stride
        return F.conv2d(x[:, :, ::down, ::across], self.weight, self.bias, groups=self.groups)


def is_unsafe(conv: nn.Conv2d) -> bool:
    """Whether a convolution is one of those that must not train in channels_last order on a CPU."""
    strided = conv.kernel_size == (1, 1) and conv.padding == (0, 0) and max(conv.stride) > 1
    return strided and conv.in_channels // conv.groups < FEW
