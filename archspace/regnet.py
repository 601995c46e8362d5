"""RegNet's rule: five numbers that stand for the stages of a network (Radosavovic et al. 2020, 2003.13678)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from archspace.blocks.bottleneck import BottleneckGenes
from archspace.errors import GenomeError
from archspace.genome import Stage, require_positive

QUANTUM = 8
"""Widths are multiples of this."""
MOST_DEPTH = 1000
MOST_RISE = 10_000
"""More is a slip of the keyboard."""


@dataclass(frozen=True)
class RegNetRule:
    """Widths that rise linearly, u_j = w0 + wa j, rounded to steps of a factor wm (Section 3.3, Eq. 2 to 4).

    `depth` is the number of blocks of the whole network; blocks of equal width are a stage. Blocks are bottlenecks of
    ratio 1 in groups of `group_width`; `squeeze` above 0 gives them squeeze-and-excitation (RegNetY: 0.25).
    """

    w0: int
    wa: float
    wm: float
    depth: int
    group_width: int
    squeeze: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "w0", "depth", "group_width")
        if self.w0 % QUANTUM:
            raise GenomeError(f"w0 must be a multiple of {QUANTUM}, not {self.w0}")
        if not 0.0 <= self.wa <= MOST_RISE:
            raise GenomeError(f"wa must be at least 0 and at most {MOST_RISE}, not {self.wa!r}")
        if not 1.0 < self.wm <= MOST_RISE:
            raise GenomeError(f"wm must be above 1 and at most {MOST_RISE}, not {self.wm!r}")
        if self.depth > MOST_DEPTH:
            raise GenomeError(f"depth must be at most {MOST_DEPTH}, not {self.depth}")


def regnet_stages(rule: RegNetRule) -> tuple[Stage, ...]:
    """The stages that a rule stands for, each with stride 2; raises GenomeError for genes that do not fit."""
    return tuple(
        _stage(width, len(list(blocks)), rule) for width, blocks in groupby(_width(rule, j) for j in range(rule.depth))
    )


def _width(rule: RegNetRule, j: int) -> int:
    linear = rule.w0 + rule.wa * j
    steps = round(math.log(linear / rule.w0) / math.log(rule.wm))
    return round(rule.w0 * rule.wm**steps / QUANTUM) * QUANTUM


def _stage(width: int, depth: int, rule: RegNetRule) -> Stage:
    """One stage; its width becomes a multiple of the group width, as the groups need (pycls)."""
    group_width = min(rule.group_width, width)
    cardinality = max(1, round(width / group_width))
    genes = BottleneckGenes(group_width, cardinality, squeeze=rule.squeeze)
    return Stage("bottleneck", depth, cardinality * group_width, 2, genes)
