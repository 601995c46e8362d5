"""The five orderings of a residual unit (He et al. 2016, 1603.05027, Figure 4): what a branch is added to, and when.

A branch comes in two kinds: closed, which ends in a normalisation, and open, which ends in a convolution.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.featuremap import FeatureMap
from archspace.parts.convolution import NORM_RELU, RELU
from archspace.parts.shortcut import Shortcut, read_beside, shortcut
from archspace.plan import Part, Planned

Order = Literal[
    "original", "norm-after-addition", "relu-before-addition", "relu-only-preactivation", "full-preactivation"
]
OPEN: tuple[Order, ...] = ("norm-after-addition", "full-preactivation")
"""Orderings of which the branch ends in a convolution."""


class Residual(nn.Module):
    """y = ReLU(F(x) + shortcut(x)) (He et al. 2015, 1512.03385, Figure 2)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def residual_cost(x: FeatureMap, branch: Planned, shortcut: Planned) -> FeatureMap:
    """Closed form of Residual: both paths, the sum, the ReLU."""
    return sum_cost(x, branch, shortcut).relu()


class Sum(nn.Module):
    """y = F(x) + shortcut(x), with nothing behind it (He et al. 2016, Eq. 1 and 2 with f the identity)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x) + self.shortcut(x)
        return out


def sum_cost(x: FeatureMap, branch: Planned, shortcut: Planned) -> FeatureMap:
    """Closed form of Sum: both paths; the sum is free."""
    x = read_beside(x, shortcut)
    return branch.cost(x).plus(shortcut.cost(x), start=x)


class NormedResidual(nn.Module):
    """y = ReLU(norm(F(x) + shortcut(x))) (He et al. 2016, Figure 4b)."""

    def __init__(self, width: int, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.branch(x) + self.shortcut(x)))


def normed_residual_cost(x: FeatureMap, width: int, branch: Planned, shortcut: Planned) -> FeatureMap:
    """Closed form of NormedResidual."""
    return sum_cost(x, branch, shortcut).norm_relu()


class SharedPreactivation(nn.Module):
    """y = F(a) + shortcut(a) with a = ReLU(norm(x)): where the shortcut projects, it reads the activation too."""

    def __init__(self, in_width: int, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_width)
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.norm(x))
        out: Tensor = self.branch(a) + self.shortcut(a)
        return out


def shared_preactivation_cost(x: FeatureMap, in_width: int, branch: Planned, shortcut: Planned) -> FeatureMap:
    """Closed form of SharedPreactivation."""
    return sum_cost(x.norm_relu(), branch, shortcut)


class Preactivated(nn.Module):
    """F(ReLU(norm(x))): a branch that begins with its activation (He et al. 2016, Figure 4e)."""

    def __init__(self, in_width: int, branch: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_width)
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(F.relu(self.norm(x)))
        return out


def preactivated_cost(x: FeatureMap, in_width: int, branch: Planned) -> FeatureMap:
    """Closed form of Preactivated."""
    return branch.cost(x.norm_relu())


class Prerectified(nn.Module):
    """F(ReLU(x)): a branch that begins with a ReLU (He et al. 2016, Figure 4d)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(F.relu(x))
        return out


def prerectified_cost(x: FeatureMap, branch: Planned) -> FeatureMap:
    """Closed form of Prerectified."""
    return branch.cost(x.relu())


class Rectified(nn.Module):
    """ReLU(F(x)): a branch that ends in a ReLU, so that a sum never falls (He et al. 2016, Figure 4c)."""

    ends_in_relu = True

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x))


def rectified_cost(x: FeatureMap, branch: Planned) -> FeatureMap:
    """Closed form of Rectified."""
    return branch.cost(x).relu()


RESIDUAL = Part(Residual, residual_cost)
SUM = Part(Sum, sum_cost)
NORMED_RESIDUAL = Part(NormedResidual, normed_residual_cost)
SHARED_PREACTIVATION = Part(SharedPreactivation, shared_preactivation_cost)
PREACTIVATED = Part(Preactivated, preactivated_cost)
PRERECTIFIED = Part(Prerectified, prerectified_cost)
RECTIFIED = Part(Rectified, rectified_cost)


def plan_unit(
    order: Order,
    branch: Planned,
    kind: Shortcut,
    in_width: int,
    width: int,
    stride: int,
    survive: Callable[[Planned], Planned],
) -> Planned:
    """A residual unit of `branch` in this order; it is an open one for the orders in OPEN. Raises GenomeError."""
    beside = shortcut(kind, in_width, width, stride, norm=order not in OPEN)
    if order == "original":
        return RESIDUAL(branch=survive(branch), shortcut=beside)
    if order == "norm-after-addition":
        return NORMED_RESIDUAL(width=width, branch=survive(branch), shortcut=beside)
    if order == "relu-before-addition":
        return SUM(branch=survive(RECTIFIED(branch=branch)), shortcut=beside)
    if order == "relu-only-preactivation":
        return SUM(branch=survive(PRERECTIFIED(branch=branch)), shortcut=beside)
    if beside.part.module is nn.Conv2d:
        return SHARED_PREACTIVATION(in_width=in_width, branch=survive(branch), shortcut=beside)
    return SUM(branch=survive(PREACTIVATED(in_width=in_width, branch=branch)), shortcut=beside)


def plan_closing(order: Order, width: int) -> Planned | None:
    """The activation that a last sum still lacks (He et al. 2016, Section 4.1)."""
    if order == "full-preactivation":
        return NORM_RELU(width=width)
    return RELU() if order == "relu-only-preactivation" else None
