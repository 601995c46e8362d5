"""Residual blocks: basic and bottleneck, with cardinality ResNeXt (He et al. 2015, 1512.03385; Xie et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.registry import Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import require_positive
from archspace.parts.shortcut import Shortcut, shortcut
from archspace.plan import Part, Planned


class Residual(nn.Module):
    """y = ReLU(F(x) + shortcut(x)) (He et al. 2015, Figure 2)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def residual_cost(x: FeatureMap, branch: Planned, shortcut: Planned) -> FeatureMap:
    """Closed form of Residual: both paths; the sum and the ReLU are free."""
    return branch.cost(x).plus(shortcut.cost(x), start=x)


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
    return x.conv(width, 3, stride).norm().conv(width, 3).norm()


class BottleneckBranch(nn.Module):
    """1x1 that narrows, 3x3 in `cardinality` groups, 1x1 that widens (He et al. 2015, Fig. 5; Xie et al. 2017, 3c)."""

    def __init__(
        self, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
    ) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_width, inner, kernel_size=1, stride=stride_1x1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, kernel_size=3, stride=stride_3x3, padding=1, groups=cardinality, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.widen = nn.Conv2d(inner, width, kernel_size=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.narrow(x)))
        x = F.relu(self.norm2(self.conv(x)))
        out: Tensor = self.norm3(self.widen(x))
        return out


def bottleneck_branch_cost(
    x: FeatureMap, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
) -> FeatureMap:
    """Closed form of BottleneckBranch."""
    return x.conv(inner, 1, stride_1x1).norm().conv(inner, 3, stride_3x3, cardinality).norm().conv(width, 1).norm()


RESIDUAL = Part(Residual, residual_cost)
BASIC_BRANCH = Part(BasicBranch, basic_branch_cost)
BOTTLENECK_BRANCH = Part(BottleneckBranch, bottleneck_branch_cost)


@dataclass(frozen=True)
class BasicGenes:
    """Genes of the basic block; no cardinality: two layers in groups are no split-transform-merge (Xie, 3.3)."""

    shortcut: Shortcut = "B"


def lay_out_basic(
    genes: BasicGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One basic block."""
    branch = BASIC_BRANCH(in_width=in_width, width=width, stride=stride)
    return RESIDUAL(branch=survive(branch), shortcut=shortcut(genes.shortcut, in_width, width, stride))


@dataclass(frozen=True)
class BottleneckGenes:
    """Genes of the bottleneck block: the 3x3 has `cardinality` groups of `group_width` channels (32x4d: 32 and 4).

    Inner width is cardinality x group width; cardinality 1 is the ResNet bottleneck. `stride_on` is the convolution
    that strides: the `3x3` (common today) or the first `1x1` (as first published).
    """

    group_width: int
    cardinality: int = 1
    shortcut: Shortcut = "B"
    stride_on: Literal["3x3", "1x1"] = "3x3"

    def __post_init__(self) -> None:
        require_positive(self, "group_width", "cardinality")


def lay_out_bottleneck(
    genes: BottleneckGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One bottleneck block."""
    branch = BOTTLENECK_BRANCH(
        in_width=in_width,
        inner=genes.cardinality * genes.group_width,
        width=width,
        cardinality=genes.cardinality,
        stride_1x1=stride if genes.stride_on == "1x1" else 1,
        stride_3x3=stride if genes.stride_on == "3x3" else 1,
    )
    return RESIDUAL(branch=survive(branch), shortcut=shortcut(genes.shortcut, in_width, width, stride))


def resolve_bottleneck(genes: Mapping[str, Any], width: int) -> Mapping[str, Any]:
    """`bottleneck_ratio` (inner width / output width) as the group width it gives; raises GenomeError if not whole."""
    if "bottleneck_ratio" not in genes:
        return genes
    rest = {name: value for name, value in genes.items() if name != "bottleneck_ratio"}
    cardinality, inner = rest.get("cardinality", 1), width * genes["bottleneck_ratio"]
    if inner < 1 or inner % cardinality:
        raise GenomeError(
            f"width {width} x bottleneck_ratio {genes['bottleneck_ratio']} = {inner:g} channels "
            f"cannot be divided into cardinality {cardinality} groups"
        )
    return {**rest, "group_width": int(inner) // cardinality}


def bottleneck_rules(genes: BottleneckGenes, width: int) -> Mapping[str, Any]:
    """The bottleneck ratio that these genes have at an output width."""
    return {"bottleneck_ratio": genes.cardinality * genes.group_width / width}


FAMILIES = (
    Family("basic", BasicGenes, lay_out_basic, tuple(BasicGenes(kind) for kind in ("A", "B", "C"))),
    Family(
        "bottleneck",
        BottleneckGenes,
        lay_out_bottleneck,
        (
            BottleneckGenes(16),
            BottleneckGenes(4, 8),
            BottleneckGenes(1, 32, "A"),
            BottleneckGenes(3, 5, "C", "1x1"),
        ),
        rules=("bottleneck_ratio",),
        resolve=resolve_bottleneck,
        rules_of=bottleneck_rules,
    ),
)
