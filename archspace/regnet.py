"""RegNet's rule: five numbers that stand for the stages of a network (Radosavovic et al. 2020, 2003.13678)."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.blocks.bottleneck import BottleneckGenes
from archspace.errors import GenomeError
from archspace.genome import Stage, require_positive
from archspace.unknown import bounds_of, called, picked

Array = NDArray[Any]

QUANTUM = 8
"""Widths are multiples of this."""
MOST_DEPTH = 1000
MOST_RISE = 10_000
"""More is a slip of the keyboard."""
LEAST_FACTOR = 1.01
"""Nearer to 1 there would be no end of steps."""


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
        if not LEAST_FACTOR <= self.wm <= MOST_RISE:
            raise GenomeError(f"wm must be at least {LEAST_FACTOR} and at most {MOST_RISE}, not {self.wm!r}")
        if self.depth > MOST_DEPTH:
            raise GenomeError(f"depth must be at most {MOST_DEPTH}, not {self.depth}")


def regnet_stages(rule: RegNetRule) -> tuple[Stage, ...]:
    """The stages that a rule stands for, each with stride 2; raises GenomeError for genes that do not fit."""
    table = called(_quantised, (rule.w0, rule.wa, rule.wm, rule.depth, rule.group_width))
    depth, group_width = bounds_of(rule.depth)[1], bounds_of(rule.group_width)[1]
    # Rounding moves a width by half a step at most.
    width = (bounds_of(rule.w0)[1] + bounds_of(rule.wa)[1] * depth) * bounds_of(rule.wm)[1] + group_width
    return tuple(
        _stage(
            picked(table, start, (1, depth)),
            picked(table, start + 1, (1, width)),
            picked(table, start + 2, (1, width)),
            picked(table, start + 3, (1, group_width)),
            rule.squeeze,
        )
        for start in range(1, 4 * operator.index(picked(table, 0, (1, depth))), 4)
    )


def _quantised(w0: Array, wa: Array, wm: Array, depth: Array, group_width: Array) -> Array:
    """For many rules the number of stages, then depth, width, cardinality, group width of each, a row of numbers each.

    Blocks of a width between two steps, w0 wm^(s - 1/2) and w0 wm^(s + 1/2), are quantised to w0 wm^s; stages whose
    widths round to the same multiple of QUANTUM are one. A width becomes a multiple of the group width, as the groups
    need (pycls).
    """
    w0, wa, wm, depth, group_width = np.broadcast_arrays(*np.atleast_1d(w0, wa, wm, depth, group_width))
    steps = int(np.rint(np.max(np.log((w0 + wa * depth) / w0) / np.log(wm)))) + 1
    depths, widths = np.zeros((2, steps + 1, len(w0)))
    number, begin, every = np.zeros(len(w0), int), np.zeros(len(w0)), np.arange(len(w0))
    for step in range(steps):
        with np.errstate(divide="ignore", over="ignore"):  # widths that do not rise end at infinity
            end = np.minimum(depth, np.ceil((w0 * wm ** (step + 0.5) - w0) / wa))
        some = end > begin
        width = np.rint(w0 * wm ** float(step) / QUANTUM) * QUANTUM
        number += some & (width != widths[number, every])
        depths[number, every] += np.where(some, end - begin, 0)
        widths[number, every] = np.where(some, width, widths[number, every])
        begin = np.maximum(begin, end)
    grouped = np.minimum(group_width, np.maximum(widths, 1))
    cardinality = np.maximum(1, np.rint(widths / grouped))
    stages = np.stack([depths, cardinality * grouped, cardinality, grouped], axis=1)[1 : number.max() + 1]
    return np.vstack([number, *stages])


def _stage(depth: int, width: int, cardinality: int, group_width: int, squeeze: float) -> Stage:
    genes = BottleneckGenes(group_width, cardinality, squeeze=squeeze)
    return Stage("bottleneck", depth, width, 2, genes)
