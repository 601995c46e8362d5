"""The Pareto front: val error against cost, every trial and the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from archspace.analysis.front import front, winner
from archspace.records.record import RunRecord
from archspace.report.describe import stage_lines
from archspace.report.labels import Box, place_labels
from archspace.report.style import (
    BUDGET,
    FRONT,
    HEIGHT,
    RING,
    STATES,
    WIDTH,
    at_target,
    called,
    escape,
    log_ticks,
    new_figure,
    nothing_yet,
)
from archspace.units import UNITS, percent, shape_text, si

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

STRIP = 0.92
"""Height at which the plot of errors ends, where a strip above it shows trials that have none."""


@dataclass(frozen=True)
class FrontData:
    """`trials` as in RunRecord with `hover` (HTML), the front's rows, the winner's number or None, the axes' ends.

    `x` is in the unit of `measure`, `y` in percent; `y_complete` is `y` for a look at complete trials alone.
    """

    trials: pd.DataFrame
    front: pd.DataFrame
    winner: int | None
    measure: str
    cap: float
    target: str
    x: tuple[float, float]
    y: tuple[float, float]
    y_complete: tuple[float, float]


def front_data(record: RunRecord) -> FrontData:
    """What the figure shows; x in the unit of the run's measure, y in percent."""
    measure, cap = record.config.measure, record.config.cap
    trials = record.trials.assign(hover=[_hover(trial, record) for trial in record.trials.itertuples()])
    ahead = front(trials, measure)
    best = None if ahead.empty else int(winner(ahead, measure)["number"])
    costs = [float(cap), *map(float, trials[measure])]
    reach = max(math.log(max(costs) / min(costs)), 0.02) * 0.06
    return FrontData(
        trials=trials,
        front=ahead,
        winner=best,
        measure=measure,
        cap=cap,
        target=at_target(record),
        x=(min(costs) * math.exp(-reach), max(costs) * math.exp(reach)),
        y=_error_axis(trials["error"]),
        y_complete=_error_axis(trials.loc[trials["state"] == "complete", "error"]),
    )


def _error_axis(errors: pd.Series[float]) -> tuple[float, float]:
    """Ends in percent that leave every point clear of the frame."""
    seen = [100 * float(error) for error in errors.dropna()] or [0.0, 100.0]
    room = max(0.08 * (max(seen) - min(seen)), 2.0)
    return max(min(seen) - room, -1.0), max(seen) + room


def front_figure(record: RunRecord) -> go.Figure:
    """Val error in percent over cost (log axis, at the target): trials by state, front, winner, budget, names."""
    data = front_data(record)
    unit = UNITS[data.measure]
    figure = new_figure(f"{data.measure.replace('_', ' ')} at {data.target}", "val error after the last epoch (%)")
    values, labels = log_ticks(*data.x, unit)
    figure.update_xaxes(type="log", range=[math.log10(end) for end in data.x], tickvals=values, ticktext=labels)
    figure.update_yaxes(range=list(data.y))
    if data.trials.empty:
        nothing_yet(figure, "No trial has started.")
        return figure
    _add_budget(figure, data)
    for state, (colour, symbol) in STATES.items():
        rows = data.trials[(data.trials["state"] == state) & data.trials["error"].notna()]
        if not rows.empty:
            marker = {"color": colour, "symbol": symbol, "size": 8, "opacity": 0.85}
            _add_points(figure, rows, data.measure, f"{state} ({len(rows)})", marker)
    if not data.front.empty:
        _add_front(figure, data)
    _add_names(figure, data)
    _add_strip(figure, data)
    return figure


def _hover(trial: Any, record: RunRecord) -> str:
    error = "no val error" if trial.error != trial.error else f"{percent(trial.error)} val error"
    costs = ", ".join(si(getattr(trial, key), UNITS[key]) for key in ("flops", "macs", "params"))
    lines = [
        f"{trial.state}, {error} after {trial.epochs} of {record.config.recipe.epochs} epochs",
        f"{costs} at {shape_text(record.config.target_input)}",
        *stage_lines(trial.genome),
    ]
    if trial.reason:
        lines.append(trial.reason if len(trial.reason) <= 90 else trial.reason[:89] + "…")
    return f"<b>{trial.number}: {called(trial)}</b><br>" + "<br>".join(escape(line) for line in lines)


def _add_points(figure: go.Figure, rows: pd.DataFrame, measure: str, name: str, marker: dict[str, Any]) -> None:
    figure.add_scatter(
        x=list(rows[measure]),
        y=[100 * error for error in rows["error"]],
        mode="markers",
        name=name,
        marker=marker,
        text=list(rows["hover"]),
        hovertemplate="%{text}<extra></extra>",
    )


def _add_front(figure: go.Figure, data: FrontData) -> None:
    costs, errors = list(data.front[data.measure]), [100 * error for error in data.front["error"]]
    figure.add_scatter(
        x=[*costs, data.cap],
        y=[*errors, errors[-1]],
        mode="lines",
        line={"color": FRONT, "width": 2, "shape": "hv"},
        name=f"front ({len(costs)})",
        hoverinfo="skip",
    )
    best = data.front[data.front["number"] == data.winner]
    marker = {"color": FRONT, "symbol": "star", "size": 15, "line": {"color": "white", "width": 1}}
    _add_points(figure, best, data.measure, "winner", marker)


def _add_budget(figure: go.Figure, data: FrontData) -> None:
    figure.add_vline(x=data.cap, line={"color": BUDGET, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        text=f"budget {si(data.cap, UNITS[data.measure])}",
        x=math.log10(data.cap),
        y=1,
        yref="paper",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        font={"color": BUDGET},
    )


def _add_names(figure: go.Figure, data: FrontData) -> None:
    """Names of enqueued networks beside their points; where there is no room the name is on hover alone."""
    named = data.trials[data.trials["error"].notna() & (data.trials["name"] != "")]
    if named.empty:
        return
    # Networks on the front choose their place first, then those of low error.
    order = named.assign(behind=~named["number"].isin(data.front["number"])).sort_values(["behind", "error"])
    costs, errors = list(order[data.measure]), [100 * error for error in order["error"]]
    margin = figure.layout.margin
    width, height = float(WIDTH - margin.l - margin.r), (HEIGHT - margin.t - margin.b) * STRIP
    points = [_pixel(data, width, height, *point) for point in zip(costs, errors, strict=True)]
    places = place_labels(points, list(order["name"]), _drawn(data, width, height), (0.0, 0.0, width, height))
    figure.add_scatter(
        x=costs,
        y=errors,
        mode="markers+text",
        name="enqueued",
        marker={"color": RING, "symbol": "circle-open", "size": 14, "line": {"width": 1.5}},
        text=[escape(name) if place else "" for name, place in zip(order["name"], places, strict=True)],
        textposition=[place or "top center" for place in places],
        cliponaxis=False,
        hoverinfo="skip",
    )


def _pixel(data: FrontData, width: float, height: float, cost: float, error: float) -> tuple[float, float]:
    """Where a point lands in a plot of `width` by `height` pixels, y downwards; `error` in percent."""
    x = math.log(cost / data.x[0]) / math.log(data.x[1] / data.x[0])
    return x * width, (data.y[1] - error) / (data.y[1] - data.y[0]) * height


def _drawn(data: FrontData, width: float, height: float) -> list[Box]:
    """Boxes around what names keep clear of: points, the steps of the front, the budget."""
    shown = data.trials[data.trials["error"].notna()]
    spots = zip(shown[data.measure], shown["error"], strict=True)
    corners = [_pixel(data, width, height, cost, 100 * error) for cost, error in spots]
    boxes = [(x - 4, y - 4, x + 4, y + 4) for x, y in corners]
    costs = [*data.front[data.measure], data.cap]
    steps = [(cost, error) for pair, error in zip(pairwise(costs), data.front["error"], strict=True) for cost in pair]
    line = [_pixel(data, width, height, cost, 100 * error) for cost, error in steps]
    boxes += [(min(a, c), min(b, d), max(a, c), max(b, d)) for (a, b), (c, d) in pairwise(line)]
    budget, _ = _pixel(data, width, height, data.cap, data.y[0])
    return [*boxes, (budget - 2, 0.0, budget + 2, height)]


def _add_strip(figure: go.Figure, data: FrontData) -> None:
    """A strip above the plot for trials without an error: they have a cost all the same."""
    rows = data.trials[data.trials["error"].isna()]
    if rows.empty:
        return
    figure.update_layout(
        yaxis={"domain": [0, STRIP]},
        yaxis2={
            "domain": [STRIP + 0.02, 1],
            "anchor": "x",
            "range": [-1, 1],
            "tickvals": [0],
            "ticktext": ["no error"],
            "showgrid": False,
            "zeroline": False,
        },
    )
    figure.update_layout(showlegend=True)
    figure.add_scatter(x=[None], y=[None], showlegend=False, hoverinfo="skip")  # else the axis below would be dropped
    for state, (colour, symbol) in STATES.items():
        some = rows[rows["state"] == state]
        if some.empty:
            continue
        figure.add_scatter(
            x=list(some[data.measure]),
            y=[0] * len(some),
            yaxis="y2",
            mode="markers",
            name=f"{state}, no error ({len(some)})",
            marker={"color": colour, "symbol": symbol, "size": 8},
            text=list(some["hover"]),
            hovertemplate="%{text}<extra></extra>",
        )
