"""Bottleneck blocks: 1x1, 3x3, 1x1 beside a shortcut; with cardinality they are those of ResNeXt and RegNet.

He et al. 2015 (1512.03385) and 2016 (1603.05027), Xie et al. 2017 (1611.05431), Radosavovic et al. 2020 (2003.13678).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.registry import Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import require_positive
from archspace.parts.ordering import OPEN, Order, plan_closing, plan_unit
from archspace.parts.paths import CONCATENATED_BRANCH, SEPARATE_BRANCH
from archspace.parts.shortcut import Shortcut
from archspace.parts.squeeze import SQUEEZE_EXCITATION
from archspace.plan import Part, Planned


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
    x = x.conv(inner, 1, stride_1x1).norm_relu().conv(inner, 3, stride_3x3, cardinality).norm_relu()
    return x.conv(width, 1).norm()


class OpenBottleneckBranch(nn.Module):
    """As BottleneckBranch, without the last normalisation."""

    def __init__(
        self, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
    ) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_width, inner, kernel_size=1, stride=stride_1x1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, kernel_size=3, stride=stride_3x3, padding=1, groups=cardinality, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.widen = nn.Conv2d(inner, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.narrow(x)))
        x = F.relu(self.norm2(self.conv(x)))
        out: Tensor = self.widen(x)
        return out


def open_bottleneck_branch_cost(
    x: FeatureMap, in_width: int, inner: int, width: int, cardinality: int, stride_1x1: int, stride_3x3: int
) -> FeatureMap:
    """Closed form of OpenBottleneckBranch."""
    x = x.conv(inner, 1, stride_1x1).norm_relu().conv(inner, 3, stride_3x3, cardinality).norm_relu()
    return x.conv(width, 1)


class SqueezedBottleneckBranch(nn.Module):
    """As BottleneckBranch, with squeeze-and-excitation behind the 3x3 (RegNet's Y block)."""

    def __init__(
        self,
        in_width: int,
        inner: int,
        width: int,
        cardinality: int,
        stride_1x1: int,
        stride_3x3: int,
        squeeze: nn.Module,
    ) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_width, inner, kernel_size=1, stride=stride_1x1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, kernel_size=3, stride=stride_3x3, padding=1, groups=cardinality, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.squeeze = squeeze
        self.widen = nn.Conv2d(inner, width, kernel_size=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.narrow(x)))
        x = self.squeeze(F.relu(self.norm2(self.conv(x))))
        out: Tensor = self.norm3(self.widen(x))
        return out


def squeezed_bottleneck_branch_cost(
    x: FeatureMap,
    in_width: int,
    inner: int,
    width: int,
    cardinality: int,
    stride_1x1: int,
    stride_3x3: int,
    squeeze: Planned,
) -> FeatureMap:
    """Closed form of SqueezedBottleneckBranch."""
    x = x.conv(inner, 1, stride_1x1).norm_relu().conv(inner, 3, stride_3x3, cardinality).norm_relu()
    return squeeze.cost(x).conv(width, 1).norm()


BOTTLENECK_BRANCH = Part(BottleneckBranch, bottleneck_branch_cost, ends_in_norm=True)
OPEN_BOTTLENECK_BRANCH = Part(OpenBottleneckBranch, open_bottleneck_branch_cost)
SQUEEZED_BOTTLENECK_BRANCH = Part(SqueezedBottleneckBranch, squeezed_bottleneck_branch_cost, ends_in_norm=True)

Form = Literal["grouped", "concatenated", "separate"]
FORMS = {"grouped": BOTTLENECK_BRANCH, "concatenated": CONCATENATED_BRANCH, "separate": SEPARATE_BRANCH}
"""Xie et al. 2017, Figure 3: c, b, a. The same function of the same weights."""


@dataclass(frozen=True)
class BottleneckGenes:
    """Genes of the bottleneck block: the 3x3 has `cardinality` groups of `group_width` channels (32x4d: 32 and 4).

    Inner width is cardinality x group width; cardinality 1 is the ResNet bottleneck. `stride_on` is the convolution
    that strides: the `3x3` (common today) or the first `1x1` (as first published). `order` is that of convolution,
    normalisation, ReLU and addition. `form` is how the groups are computed: by one grouped convolution, by paths that
    are concatenated, or by separate paths. `squeeze` is the inner width of squeeze-and-excitation as a share of the
    block's input width; 0 leaves it out.
    """

    group_width: int
    cardinality: int = 1
    shortcut: Shortcut = "B"
    stride_on: Literal["3x3", "1x1"] = "3x3"
    order: Order = "original"
    form: Form = "grouped"
    squeeze: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "group_width", "cardinality")
        if not 0.0 <= self.squeeze <= 4.0:
            raise GenomeError(f"squeeze must be at least 0 (none) and at most 4, not {self.squeeze!r}")
        if self.form != "grouped" and self.cardinality == 1:
            raise GenomeError(f"form {self.form}: with cardinality 1 there is but one path; leave it out")
        asked = {
            f"form {self.form}": self.form != "grouped",
            f"squeeze {self.squeeze}": self.squeeze > 0,
            f"order {self.order}": self.order in OPEN,
        }
        if sum(asked.values()) > 1:
            names = " and ".join(name for name, wanted in asked.items() if wanted)
            raise GenomeError(f"{names} do not go together; keep one of them")


def lay_out_bottleneck(
    genes: BottleneckGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One bottleneck block."""
    inner = genes.cardinality * genes.group_width
    part = OPEN_BOTTLENECK_BRANCH if genes.order in OPEN else FORMS[genes.form]
    extra = {}
    if genes.squeeze:
        part = SQUEEZED_BOTTLENECK_BRANCH
        extra["squeeze"] = SQUEEZE_EXCITATION(width=inner, inner=max(1, round(genes.squeeze * in_width)))
    branch = part(
        in_width=in_width,
        inner=inner,
        width=width,
        cardinality=genes.cardinality,
        stride_1x1=stride if genes.stride_on == "1x1" else 1,
        stride_3x3=stride if genes.stride_on == "3x3" else 1,
        **extra,
    )
    return plan_unit(genes.order, branch, genes.shortcut, in_width, width, stride, survive)


def close_bottleneck(genes: BottleneckGenes, width: int) -> Planned | None:
    """What the last sum lacks."""
    return plan_closing(genes.order, width)


def resolve_bottleneck(genes: Mapping[str, Any], width: int) -> Mapping[str, Any]:
    """`bottleneck_ratio` (inner width / output width) as the group width it gives; raises GenomeError if not whole."""
    if "bottleneck_ratio" not in genes:
        return genes
    rest = {name: value for name, value in genes.items() if name != "bottleneck_ratio"}
    cardinality, inner = rest.get("cardinality", 1), width * genes["bottleneck_ratio"]
    whole = round(inner)
    # Ratios that are no binary fraction, 15/44 say, miss the whole number by a rounding error.
    if whole < 1 or abs(inner - whole) > 1e-6 * whole or whole % cardinality:
        raise GenomeError(
            f"width {width} x bottleneck_ratio {genes['bottleneck_ratio']} = {inner:g} channels "
            f"cannot be divided into cardinality {cardinality} groups"
        )
    return {**rest, "group_width": whole // cardinality}


def bottleneck_rules(genes: BottleneckGenes, width: int) -> Mapping[str, Any]:
    """The bottleneck ratio that these genes have at an output width."""
    return {"bottleneck_ratio": genes.cardinality * genes.group_width / width}


FAMILIES = (
    Family(
        "bottleneck",
        BottleneckGenes,
        lay_out_bottleneck,
        (
            BottleneckGenes(4, 8),
            BottleneckGenes(1, 32, "A"),
            BottleneckGenes(3, 5, "C", "1x1"),
            *(BottleneckGenes(16, order=order) for order in get_args(Order)),
            *(BottleneckGenes(4, 3, form=form) for form in get_args(Form)),
            BottleneckGenes(8, 2, squeeze=0.25),
        ),
        rules={"bottleneck_ratio": "group_width"},
        resolve=resolve_bottleneck,
        rules_of=bottleneck_rules,
        close=close_bottleneck,
    ),
)
