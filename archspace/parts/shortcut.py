"""Shortcuts: what a residual block adds its branch to (He et al. 2015, Section 4.1, options A, B, C)."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.parts.convolution import BARE_CONVOLUTION
from archspace.plan import Part, Planned

Shortcut = Literal["A", "B", "C"]


class Projection(nn.Module):
    """A strided 1x1 convolution and its normalisation."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel_size=1, stride=stride, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


def projection_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Closed form of Projection."""
    return x.conv(width, 1, stride).norm()


class PaddedIdentity(nn.Module):
    """Every `stride`-th position of the input; channels it lacks are zeros. No parameters."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.missing = width - in_width
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


def padded_identity_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Closed form of PaddedIdentity."""
    return x.subsample(width, stride)


IDENTITY = Part(nn.Identity, lambda x: x)
PROJECTION = Part(Projection, projection_cost)
PADDED_IDENTITY = Part(PaddedIdentity, padded_identity_cost)


def read_beside(x: FeatureMap, shortcut: Planned) -> FeatureMap:
    """`x` as a branch beside this shortcut finds it: one that computes something of `x` keeps it, so it counts once."""
    return x if shortcut.part is IDENTITY or shortcut.part is PADDED_IDENTITY else x.keep()


def shortcut(kind: Shortcut, in_width: int, width: int, stride: int, norm: bool = True) -> Planned:
    """A pads with zeros where shapes change, B projects there, C projects everywhere; raises GenomeError.

    Shapes change where the stride is above 1 or the width is not the input's. A projection without `norm` is the 1x1
    convolution alone.
    """
    same = stride == 1 and in_width == width
    if kind == "C" or (kind == "B" and not same):
        if norm:
            return PROJECTION(in_width=in_width, width=width, stride=stride)
        return BARE_CONVOLUTION(
            in_channels=in_width, out_channels=width, kernel_size=1, stride=stride, padding=0, bias=False
        )
    if same:
        return IDENTITY()
    if width < in_width:
        raise GenomeError(f"shortcut A pads with zeros and cannot narrow {in_width} channels to {width}; use B")
    return PADDED_IDENTITY(in_width=in_width, width=width, stride=stride)
