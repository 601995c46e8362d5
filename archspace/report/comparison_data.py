"""What the figures of a comparison show: lines, bands and points, in percent and units of cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archspace.analysis.comparison import Comparison, Distribution, Side
from archspace.analysis.matching import OUT
from archspace.report.style import escape
from archspace.units import UNITS, percent, si

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Line:
    """A curve of one side; `low` and `high` are its band, which may end before the curve does (then NaN).

    `equal_cost` tells what is weighted from what is as drawn.
    """

    side: int
    name: str
    equal_cost: bool
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Points:
    """The networks of one side: cost in the unit of the measure, val error in percent, what is said on hover.

    `kind` is `counts`, `left out` (no network of the other sides costs as much) or `failed` (shown as guessing).
    """

    side: int
    name: str
    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    hover: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonData:
    """The three figures: EDFs and best-of-n curves as lines, networks as points, the ends of the bins of cost."""

    measure: str
    edfs: tuple[Line, ...]
    best_of: tuple[Line, ...]
    networks: tuple[Points, ...]
    edges: tuple[float, ...]
    errors: tuple[float, float]
    costs: tuple[float, float]


def comparison_data(comparison: Comparison, networks: pd.DataFrame) -> ComparisonData:
    """The data of the figures; `networks` has a row for each network in the order of the samples: id, state, reason.

    Where weights change nothing the curve as drawn is the one at equal cost and is shown once.
    """
    errors = [100 * float(error) for side in comparison.sides for error in side.sample.errors]
    costs = [float(cost) for side in comparison.sides for cost in side.sample.costs]
    room = max(0.04 * (max(errors) - min(errors)), 0.5)
    ends = max(min(errors) - room, 0.0), max(errors) + room
    reach = math.exp(max(math.log(max(costs) / min(costs)), 0.02) * 0.05)
    edfs, best = [], []
    for number, side in enumerate(comparison.sides):
        for equal_cost, held in _shown(side):
            edfs.append(_edf_line(number, side, equal_cost, held, ends))
            best.append(_best_line(number, side, equal_cost, held))
    return ComparisonData(
        measure=comparison.measure,
        edfs=tuple(edfs),
        best_of=tuple(best),
        networks=tuple(_points(comparison, networks)),
        edges=() if comparison.matched is None else comparison.matched.edges,
        errors=ends,
        costs=(min(costs) / reach, max(costs) * reach),
    )


def _shown(side: Side) -> list[tuple[bool, Distribution]]:
    if side.matched is None:
        return [(False, side.drawn)]
    same = side.left_out == 0 and np.isclose(side.matched.edf.effective, side.drawn.edf.effective)
    return [(True, side.matched)] if same else [(True, side.matched), (False, side.drawn)]


def _edf_line(number: int, side: Side, equal_cost: bool, held: Distribution, ends: tuple[float, float]) -> Line:
    """Steps from the left end of the axis to the right one."""
    edf = held.edf
    x = (ends[0], *(100 * edf.errors).tolist(), ends[1])
    low, high = [0.0, *edf.low.tolist()], [min(edf.half_width, 1.0), *edf.high.tolist()]
    shares = [0.0, *edf.shares.tolist()]
    name = f"{side.sample.name}, {_how(equal_cost)} (n = {edf.n})"
    return Line(
        number, name, equal_cost, x, (*shares, shares[-1]), (*low, low[-1]), (*high, high[-1])
    )  # fmt: skip


def _best_line(number: int, side: Side, equal_cost: bool, held: Distribution) -> Line:
    best = held.best_of
    name = f"{side.sample.name}, {_how(equal_cost)}"
    values = [tuple((100 * part).tolist()) for part in (best.expected, best.low, best.high)]
    return Line(number, name, equal_cost, tuple(best.draws.tolist()), values[0], values[1], values[2])


def _how(equal_cost: bool) -> str:
    return "at equal cost" if equal_cost else "as drawn"


def _points(comparison: Comparison, networks: pd.DataFrame) -> list[Points]:
    found, begin = [], 0
    unit = UNITS[comparison.measure]
    for number, side in enumerate(comparison.sides):
        sample = side.sample
        rows = networks.iloc[begin : begin + len(sample.errors)]
        begin += len(sample.errors)
        out = np.zeros(len(rows), bool) if comparison.matched is None else comparison.matched.bins[number] == OUT
        failed = (rows["state"] == "failed").to_numpy()
        kinds = np.where(failed, "failed", np.where(out, "left out", "counts"))
        told = [
            f"<b>{escape(sample.name)}: {row.id}</b><br>{percent(error)} val error, {si(cost, unit)}<br>{row.state}"
            for row, error, cost in zip(rows.itertuples(), sample.errors, sample.costs, strict=True)
        ]
        for kind in ("counts", "left out", "failed"):
            inside = np.flatnonzero(kinds == kind)
            if len(inside):
                x, y = sample.costs[inside].tolist(), (100 * sample.errors[inside]).tolist()
                name = sample.name if kind == "counts" else f"{sample.name}, {kind} ({len(inside)})"
                found.append(Points(number, name, kind, tuple(x), tuple(y), tuple(told[place] for place in inside)))
    return found
