"""Inception blocks: four branches of different kernels, concatenated (Szegedy et al. 2015, 1409.4842)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archspace.blocks.registry import Entry, Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import require_positive
from archspace.parts.convolution import CONV_NORM_RELU, MAX_POOL
from archspace.plan import Part, Planned


class Inception(nn.Module):
    """1x1; 1x1 and 3x3; 1x1 and a large kernel; max-pooling and 1x1; side by side (1409.4842, Figure 2b)."""

    def __init__(
        self,
        point: nn.Module,
        reduce_small: nn.Module,
        small: nn.Module,
        reduce_large: nn.Module,
        large: nn.Module,
        project: nn.Module,
    ) -> None:
        super().__init__()
        self.point = point
        self.reduce_small = reduce_small
        self.small = small
        self.reduce_large = reduce_large
        self.large = large
        self.pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.project = project

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.point(x),
            self.small(self.reduce_small(x)),
            self.large(self.reduce_large(x)),
            self.project(self.pool(x)),
        ]
        return torch.cat(branches, 1)


def inception_cost(
    x: FeatureMap,
    point: Planned,
    reduce_small: Planned,
    small: Planned,
    reduce_large: Planned,
    large: Planned,
    project: Planned,
) -> FeatureMap:
    """Closed form of Inception; concatenation is free."""
    x = x.keep()
    pooled = x.max_pool(3, 1, padded=True)
    branches = point.cost(x), small.cost(reduce_small.cost(x)), large.cost(reduce_large.cost(x)), project.cost(pooled)
    out = branches[0]
    for branch in branches[1:]:
        out = out.beside(branch, start=x)
    return out


INCEPTION = Part(Inception, inception_cost)

WIDTHS = ("reduce_small", "small", "reduce_large", "large", "project")
SHARES = {f"{name}_share": name for name in WIDTHS}


@dataclass(frozen=True)
class InceptionGenes:
    """Genes of the inception block: the widths of its convolutions, in channels.

    `reduce_small` and `small` are the 1x1 and the 3x3 of the second branch, `reduce_large` and `large` those of the
    third, whose kernel is `kernel`; `project` is the 1x1 behind the max-pooling. The first branch, a single 1x1, has
    the channels that are left of the block's width. A stage with a stride above 1 begins with max-pooling, 3x3 or 2x2.
    """

    reduce_small: int
    small: int
    reduce_large: int
    large: int
    project: int
    kernel: int = 5
    downsample: Literal["pool3", "pool2"] = "pool3"

    def __post_init__(self) -> None:
        require_positive(self, *WIDTHS, "kernel")
        if self.kernel % 2 == 0:
            raise GenomeError(f"kernel must be odd, not {self.kernel}")


def enter_inception(genes: InceptionGenes, in_width: int, width: int | None, stride: int) -> Entry:
    """Max pooling where the stage strides."""
    if stride == 1:
        return Entry(None, in_width, 1)
    kernel = int(genes.downsample.removeprefix("pool"))
    return Entry(MAX_POOL(kernel_size=kernel, stride=stride, ceil_mode=True), in_width, 1)


def lay_out_inception(
    genes: InceptionGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One inception block; raises GenomeError where nothing is left for the first branch."""
    left = width - genes.small - genes.large - genes.project
    if left < 1:
        raise GenomeError(
            f"small {genes.small} + large {genes.large} + project {genes.project} channels leave none of width {width} "
            "for the 1x1 branch; widen the block or narrow these"
        )

    def conv(narrow: int, wide: int, kernel: int) -> Planned:
        return CONV_NORM_RELU(in_width=narrow, width=wide, kernel=kernel, stride=1)

    return INCEPTION(
        point=conv(in_width, left, 1),
        reduce_small=conv(in_width, genes.reduce_small, 1),
        small=conv(genes.reduce_small, genes.small, 3),
        reduce_large=conv(in_width, genes.reduce_large, 1),
        large=conv(genes.reduce_large, genes.large, genes.kernel),
        project=conv(in_width, genes.project, 1),
    )


def resolve_inception(genes: Mapping[str, Any], width: int) -> Mapping[str, Any]:
    """Shares of the block's width (`small_share: 0.5`) as the channels they give, at least one."""
    widths = {name: max(1, round(genes[share] * width)) for share, name in SHARES.items() if share in genes}
    return {name: value for name, value in genes.items() if name not in SHARES} | widths


def inception_rules(genes: InceptionGenes, width: int) -> Mapping[str, Any]:
    """The shares that these genes have of a width."""
    return {share: getattr(genes, name) / width for share, name in SHARES.items()}


FAMILIES = (
    Family(
        "inception",
        InceptionGenes,
        lay_out_inception,
        (InceptionGenes(24, 32, 4, 8, 8), InceptionGenes(6, 11, 3, 7, 5, 3, "pool2")),
        residual=False,
        rules=SHARES,
        resolve=resolve_inception,
        rules_of=inception_rules,
        enter=enter_inception,
    ),
)
