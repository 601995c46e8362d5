"""Stems: what a network does to the image before its first stage."""

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.genome import Stem
from archspace.parts.convolution import BARE_CONVOLUTION, BIASED_CONV_RELU, CONV_NORM_RELU
from archspace.plan import Part, Planned, Symbol


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
    return x.conv(width, 7, 2).norm_relu().max_pool(3, 2, padded=True)


IMAGENET_STEM = Part(ImageNetStem, imagenet_stem_cost)
CONVOLUTIONS = {"cifar": (3, 1), "regnet": (3, 2), "googlenet": (7, 2)}
"""Kernel and stride of the stems that are one convolution, normalised and rectified."""


def plan_stem(stem: Stem, channels: int | Symbol) -> Planned | None:
    """The stem for images of `channels`, or None where the first stage sees the image itself."""
    if stem.kind == "none":
        return None
    if stem.kind == "imagenet":
        return IMAGENET_STEM(in_channels=channels, width=stem.width)
    if stem.kind == "alexnet":
        return BIASED_CONV_RELU(in_width=channels, width=stem.width, kernel=11, stride=4, padding=2)
    if stem.kind == "bare":
        return BARE_CONVOLUTION(
            in_channels=channels, out_channels=stem.width, kernel_size=3, stride=1, padding=1, bias=False
        )
    kernel, stride = CONVOLUTIONS[stem.kind]
    return CONV_NORM_RELU(in_width=channels, width=stem.width, kernel=kernel, stride=stride)
