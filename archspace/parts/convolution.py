"""One convolution with what follows it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.plan import Part


class ConvNormReLU(nn.Module):
    """Convolution, batch normalisation, ReLU; an odd kernel keeps the size at stride 1."""

    def __init__(self, in_width: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


def conv_norm_relu_cost(x: FeatureMap, in_width: int, width: int, kernel: int, stride: int) -> FeatureMap:
    """Closed form of ConvNormReLU."""
    return x.conv(width, kernel, stride).norm_relu()


class BiasedConvNormReLU(nn.Module):
    """As ConvNormReLU, with a bias that the normalisation takes away again (VGG with normalisation has it)."""

    def __init__(self, in_width: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel, stride=stride, padding=kernel // 2)
        self.conv.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


def biased_conv_norm_relu_cost(x: FeatureMap, in_width: int, width: int, kernel: int, stride: int) -> FeatureMap:
    """Closed form of BiasedConvNormReLU."""
    return x.conv(width, kernel, stride, bias=True).norm_relu()


class BiasedConvReLU(nn.Module):
    """Convolution with bias, ReLU: how networks were built before batch normalisation."""

    def __init__(self, in_width: int, width: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel, stride=stride, padding=padding)
        self.conv.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


def biased_conv_relu_cost(
    x: FeatureMap, in_width: int, width: int, kernel: int, stride: int, padding: int
) -> FeatureMap:
    """Closed form of BiasedConvReLU."""
    return x.conv(width, kernel, stride, bias=True, padding=padding).relu()


class NormReLU(nn.Module):
    """Batch normalisation, ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(x))


def norm_relu_cost(x: FeatureMap, width: int) -> FeatureMap:
    """Closed form of NormReLU."""
    return x.norm_relu()


def bare_convolution_cost(
    x: FeatureMap, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int, bias: bool
) -> FeatureMap:
    """Closed form of torch's convolution."""
    return x.conv(out_channels, kernel_size, stride, bias=bias, padding=padding)


def max_pool_cost(x: FeatureMap, kernel_size: int, stride: int, ceil_mode: bool) -> FeatureMap:
    """Closed form of torch's max pooling without padding, its last window reaching over the edge."""
    return x.max_pool(kernel_size, stride)


CONV_NORM_RELU = Part(ConvNormReLU, conv_norm_relu_cost)
BIASED_CONV_NORM_RELU = Part(BiasedConvNormReLU, biased_conv_norm_relu_cost)
BIASED_CONV_RELU = Part(BiasedConvReLU, biased_conv_relu_cost)
NORM_RELU = Part(NormReLU, norm_relu_cost)
RELU = Part(nn.ReLU, lambda x: x.relu())
BARE_CONVOLUTION = Part(nn.Conv2d, bare_convolution_cost)
MAX_POOL = Part(nn.MaxPool2d, max_pool_cost)
