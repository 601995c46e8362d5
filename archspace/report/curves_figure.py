"""Learning curves: val error over epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspace.analysis.front import front, winner
from archspace.records.record import RunRecord
from archspace.report.style import FRONT, STATES, called, new_figure, nothing_yet

if TYPE_CHECKING:
    import plotly.graph_objects as go

Point = tuple[int, float, str]
"""Epoch, val error in percent, what the trial is called."""


@dataclass(frozen=True)
class CurvesData:
    """Learning curves by state, the winner's apart; one list of points per trial, by epoch."""

    by_state: dict[str, list[list[Point]]]
    winner: list[Point]
    epochs: int
    rungs: tuple[int, ...]


def curves_data(record: RunRecord) -> CurvesData:
    """The curves of all trials that finished an epoch."""
    ahead = front(record.trials, record.config.measure)
    best = None if ahead.empty else int(winner(ahead, record.config.measure)["number"])
    trials = {trial.number: trial for trial in record.trials.itertuples()}
    by_state: dict[str, list[list[Point]]] = {state: [] for state in STATES}
    winning: list[Point] = []
    rows = record.curves.dropna(subset=["error"]).sort_values(["number", "epoch"])
    for number, curve in rows.groupby("number"):
        trial = trials[number]
        name = called(trial)
        points = [
            (int(epoch), 100 * float(error), name) for epoch, error in zip(curve["epoch"], curve["error"], strict=True)
        ]
        if number == best:
            winning = points
        else:
            by_state[str(trial.state)].append(points)
    return CurvesData(by_state, winning, record.config.recipe.epochs, record.config.recipe.rungs)


def curves_figure(record: RunRecord) -> go.Figure:
    """Val error in percent over epochs: one line per trial, stopped ones faded, the winner's on top."""
    data = curves_data(record)
    rungs = ", ".join(str(rung) for rung in data.rungs)
    figure = new_figure(f"epoch (dotted: rungs at {rungs})", "val error (%)")
    figure.update_xaxes(range=[0, data.epochs * 1.03 + 0.2], tickformat="d", dtick=1 if data.epochs <= 12 else None)
    if not any(data.by_state.values()) and not data.winner:
        nothing_yet(figure, "No trial has finished an epoch.")
        return figure
    for rung in data.rungs:
        figure.add_vline(x=rung, line={"color": STATES["stopped"][0], "width": 1, "dash": "dot"})
    for state in ("stopped", "failed", "unfinished", "complete"):
        curves = data.by_state[state]
        if curves:
            opacity = 0.45 if state == "stopped" else 0.6
            _add_curves(figure, curves, f"{state} ({len(curves)})", STATES[state][0], 1.2, opacity)
    if data.winner:
        _add_curves(figure, [data.winner], "winner", FRONT, 3, 1.0)
    return figure


def _add_curves(
    figure: go.Figure, curves: list[list[Point]], name: str, colour: str, width: float, opacity: float
) -> None:
    """All curves of a kind as one trace with gaps: hundreds of traces would make the page crawl."""
    broken = [point for curve in curves for point in (*curve, (None, None, ""))]
    figure.add_scatter(
        x=[epoch for epoch, _, _ in broken],
        y=[error for _, error, _ in broken],
        text=[name for _, _, name in broken],
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": width},
        marker={"size": width + 3, "color": colour},
        opacity=opacity,
        connectgaps=False,
        hovertemplate="%{text}<br>%{y:.2f}% val error after epoch %{x}<extra></extra>",
    )
