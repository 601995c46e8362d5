"""Basic blocks: two 3x3 convolutions beside a shortcut (He et al. 2015, 1512.03385; 2016, 1603.05027)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.registry import Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import require_share
from archspace.parts.ordering import OPEN, Order, plan_closing, plan_unit
from archspace.parts.shortcut import Shortcut
from archspace.plan import Part, Planned


class BasicBranch(nn.Module):
    """Two 3x3 convolutions (He et al. 2015, Figure 5, left)."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        out: Tensor = self.norm2(self.conv2(x))
        return out


def basic_branch_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Closed form of BasicBranch."""
    return x.conv(width, 3, stride).norm_relu().conv(width, 3).norm()


class OpenBasicBranch(nn.Module):
    """Two 3x3 convolutions without the last normalisation."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.norm(self.conv1(x))))
        return out


def open_basic_branch_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Closed form of OpenBasicBranch."""
    return x.conv(width, 3, stride).norm_relu().conv(width, 3)


class DropoutBasicBranch(nn.Module):
    """Two 3x3 convolutions with dropout between them (Zagoruyko & Komodakis 2016, 1605.07146, Figure 1d)."""

    def __init__(self, in_width: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.dropout(F.relu(self.norm(self.conv1(x)))))
        return out


def dropout_basic_branch_cost(x: FeatureMap, in_width: int, width: int, stride: int, dropout: float) -> FeatureMap:
    """Closed form of DropoutBasicBranch."""
    return x.conv(width, 3, stride).norm_relu().dropout(dropout).conv(width, 3)


BASIC_BRANCH = Part(BasicBranch, basic_branch_cost, ends_in_norm=True)
OPEN_BASIC_BRANCH = Part(OpenBasicBranch, open_basic_branch_cost)
DROPOUT_BASIC_BRANCH = Part(DropoutBasicBranch, dropout_basic_branch_cost)


@dataclass(frozen=True)
class BasicGenes:
    """Genes of the basic block; no cardinality: two layers in groups are no split-transform-merge (Xie, 3.3).

    `order` is that of convolution, normalisation, ReLU and addition; `dropout` the probability that a unit between the
    convolutions of a full pre-activation block is zeroed while training.
    """

    shortcut: Shortcut = "B"
    order: Order = "original"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require_share("dropout", self.dropout)
        if self.dropout and self.order != "full-preactivation":
            raise GenomeError(f"dropout belongs to order full-preactivation, not {self.order}; leave it out")


def lay_out_basic(
    genes: BasicGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One basic block."""
    if genes.dropout:
        branch = DROPOUT_BASIC_BRANCH(in_width=in_width, width=width, stride=stride, dropout=genes.dropout)
    else:
        kind = OPEN_BASIC_BRANCH if genes.order in OPEN else BASIC_BRANCH
        branch = kind(in_width=in_width, width=width, stride=stride)
    return plan_unit(genes.order, branch, genes.shortcut, in_width, width, stride, survive)


def close_basic(genes: BasicGenes, width: int) -> Planned | None:
    """What the last sum lacks."""
    return plan_closing(genes.order, width)


FAMILIES = (
    Family(
        "basic",
        BasicGenes,
        lay_out_basic,
        (
            BasicGenes("A"),
            BasicGenes("C"),
            *(BasicGenes(order=order) for order in get_args(Order)),
            BasicGenes("A", "full-preactivation", dropout=0.3),
        ),
        close=close_basic,
    ),
)
