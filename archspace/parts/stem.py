"""Stems: what a network does to the image before its first stage."""

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.plan import Part


class ImageNetStem(nn.Module):
    """7x7 convolution with stride 2, then 3x3 max pooling with stride 2 (He et al. 2015, Table 1)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(F.relu(self.norm(self.conv(x))))
        return out


def imagenet_stem_cost(x: FeatureMap, in_channels: int, width: int) -> FeatureMap:
    """Closed form of ImageNetStem."""
    return x.conv(width, 7, 2).norm().max_pool(2)


class CifarStem(nn.Module):
    """One 3x3 convolution at full resolution (He et al. 2015, Section 4.2)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


def cifar_stem_cost(x: FeatureMap, in_channels: int, width: int) -> FeatureMap:
    """Closed form of CifarStem."""
    return x.conv(width, 3).norm()


STEMS = {"imagenet": Part(ImageNetStem, imagenet_stem_cost), "cifar": Part(CifarStem, cifar_stem_cost)}
