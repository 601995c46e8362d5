"""Squeeze-and-excitation: channels are scaled by what the whole map says of them (Hu et al. 2018, 1709.01507)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.plan import Part


class SqueezeExcitation(nn.Module):
    """x times a gate per channel: average, two 1x1 convolutions, sigmoid (Hu et al. 2018, 1709.01507, Eq. 3)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(width, inner, kernel_size=1)
        self.squeeze.bias = nn.Parameter(torch.zeros(inner))
        self.excite = nn.Conv2d(inner, width, kernel_size=1)
        self.excite.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(self.pool(x)))))
        return x * gate


def squeeze_excitation_cost(x: FeatureMap, width: int, inner: int) -> FeatureMap:
    """Closed form of SqueezeExcitation."""
    return x.scaled_by(x.adaptive_pool().conv(inner, 1, bias=True).relu().conv(width, 1, bias=True).sigmoid())


SQUEEZE_EXCITATION = Part(SqueezeExcitation, squeeze_excitation_cost)
