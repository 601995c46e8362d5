"""The two forms of a ResNeXt block that write its paths out (Xie et al. 2017, 1611.05431, Figure 3a and 3b).

The third form, a grouped convolution (3c), is the bottleneck branch itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.plan import Part


class OpenPath(nn.Module):
    """1x1 that narrows, 3x3, each normalised and rectified: a path of Xie et al. 2017, 1611.05431, Figure 3b."""

    def __init__(self, in_width: int, inner: int, stride_1x1: int, stride_3x3: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_width, inner, kernel_size=1, stride=stride_1x1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, kernel_size=3, stride=stride_3x3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.narrow(x)))
        return F.relu(self.norm2(self.conv(x)))


class Path(nn.Module):
    """1x1 that narrows, 3x3, 1x1 that widens: a path of Xie et al. 2017, 1611.05431, Figure 3a."""

    def __init__(self, in_width: int, inner: int, width: int, stride_1x1: int, stride_3x3: int) -> None:
        super().__init__()
        self.open = OpenPath(in_width, inner, stride_1x1, stride_3x3)
        self.widen = nn.Conv2d(inner, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.widen(self.open(x))
        return out


class SeparateBranch(nn.Module):
    """The sum of `cardinality` paths, normalised (Xie et al. 2017, 1611.05431, Figure 3a, Eq. 2)."""

    def __init__(
        self, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
    ) -> None:
        super().__init__()
        one = inner // cardinality
        self.paths = nn.ModuleList(Path(in_width, one, width, stride_1x1, stride_3x3) for _ in range(cardinality))
        self.norm3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm3(torch.stack([path(x) for path in self.paths]).sum(0))
        return out


class ConcatenatedBranch(nn.Module):
    """`cardinality` open paths side by side, widened together, normalised (Xie et al. 2017, 1611.05431, Figure 3b)."""

    def __init__(
        self, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
    ) -> None:
        super().__init__()
        one = inner // cardinality
        self.paths = nn.ModuleList(OpenPath(in_width, one, stride_1x1, stride_3x3) for _ in range(cardinality))
        self.widen = nn.Conv2d(inner, width, kernel_size=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm3(self.widen(torch.cat([path(x) for path in self.paths], 1)))
        return out


def separate_branch_cost(
    x: FeatureMap, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
) -> FeatureMap:
    """Closed form of SeparateBranch; its acts exceed the other forms', since every path widens for itself."""
    one = inner // cardinality
    x = x.keep()
    path = x.conv(one, 1, stride_1x1).norm_relu().conv(one, 3, stride_3x3).norm_relu().conv(width, 1)
    return x.paths(path, cardinality).norm()


def concatenated_branch_cost(
    x: FeatureMap, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
) -> FeatureMap:
    """Closed form of ConcatenatedBranch."""
    one = inner // cardinality
    x = x.keep()
    path = x.conv(one, 1, stride_1x1).norm_relu().conv(one, 3, stride_3x3).norm_relu()
    return x.paths(path, cardinality, channels=inner).conv(width, 1).norm()


SEPARATE_BRANCH = Part(SeparateBranch, separate_branch_cost, needs=(OpenPath, Path), ends_in_norm=True)
CONCATENATED_BRANCH = Part(ConcatenatedBranch, concatenated_branch_cost, needs=(OpenPath,), ends_in_norm=True)
