"""The figures of a comparison: distributions of error, networks by cost and error, the best of n."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archspace.report.comparison_data import ComparisonData, Line, Points
from archspace.report.save import save_figure
from archspace.report.style import FAINT, RING, escape, log_ticks, new_figure
from archspace.units import UNITS

if TYPE_CHECKING:
    import plotly.graph_objects as go

SIDES = ("#1f83c4", "#d55e00", "#009e73", "#b0609a", "#a87900", "#6b7785")
"""Colours of the sides, after Okabe and Ito; a seventh has the first one's again."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "cross")
KINDS = {"counts": ("", 9), "left out": ("-open", 9), "failed": ("x", 9)}
"""What is added to the symbol of a side for each kind of network (`x` is one of its own), and its size in pixels."""


def edf_figure(data: ComparisonData, target: str) -> go.Figure:  # noqa: ARG001  # figures are called alike
    """The share of networks over val error: at equal cost in full lines with bands, as drawn in dotted ones."""
    figure = _figure("val error (%)", "share of networks with at most this error")
    figure.update_xaxes(range=list(data.errors))
    figure.update_yaxes(range=[0, 1.01])
    for line in data.edfs:
        _add_line(figure, line, "hv", "%{y:.0%} have at most %{x:.2f}% val error")
    return figure


def networks_figure(data: ComparisonData, target: str) -> go.Figure:
    """Val error over cost (log axis) of every network; faint lines are the ends of the bins of cost."""
    figure = _figure(f"{data.measure} at {target}", "val error (%)")
    values, labels = log_ticks(*data.costs, UNITS[data.measure])
    figure.update_xaxes(type="log", range=[math.log10(end) for end in data.costs], tickvals=values, ticktext=labels)
    figure.update_yaxes(range=list(data.errors))
    figure.update_xaxes(showgrid=False, ticklabeloverflow="allow")
    for edge in data.edges:
        figure.add_vline(x=edge, line={"color": FAINT, "width": 1.5, "dash": "dot"}, layer="below")
    for points in data.networks:
        _add_points(figure, points)
    return figure


def best_of_figure(data: ComparisonData, target: str) -> go.Figure:  # noqa: ARG001
    """The expected least val error of n networks over n; the bands are 95 % intervals for each n by itself."""
    figure = _figure("networks drawn and trained", "expected val error of the best (%)")
    most = max(max(line.x) for line in data.best_of)
    values = [value for value in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if value <= most]
    figure.update_xaxes(type="log", range=[-0.03, math.log10(most) + 0.03], tickvals=values, ticktext=values)
    for line in data.best_of:
        _add_line(figure, line, "linear", "best of %{x}: %{y:.2f}% val error expected")
    return figure


FIGURES: dict[str, Callable[[ComparisonData, str], go.Figure]] = {
    "edf": edf_figure,
    "networks": networks_figure,
    "best-of": best_of_figure,
}


def save_comparison_figures(
    data: ComparisonData, target: str, folder: Path, form: Literal["svg", "png"] = "svg"
) -> list[Path]:
    """Write every figure into `folder`; raises UserError if kaleido, or the browser that it draws with, is missing."""
    paths = [folder / f"{name}.{form}" for name in FIGURES]
    for path, make in zip(paths, FIGURES.values(), strict=True):
        save_figure(make(data, target), path, path.stem)
    return paths


def _figure(x_title: str, y_title: str) -> go.Figure:
    """As the others, without the room above for what these have not; filled bands would turn the legend around."""
    figure = new_figure(x_title, y_title)
    figure.update_layout(margin={"t": 24, "r": 48}, legend={"traceorder": "normal"})
    return figure


def _add_line(figure: go.Figure, line: Line, shape: str, hover: str) -> None:
    colour = SIDES[line.side % len(SIDES)]
    told = [place for place, end in enumerate(line.low) if not math.isnan(end)]
    if line.equal_cost and told:
        edge = {"color": colour, "width": 0, "shape": shape}
        x = [line.x[place] for place in told]
        for ends, fill in ((line.low, None), (line.high, "tonexty")):
            figure.add_scatter(
                x=x,
                y=[ends[place] for place in told],
                mode="lines",
                line=edge,
                fill=fill,
                fillcolor=_faded(colour),
                hoverinfo="skip",
                showlegend=False,
            )
    figure.add_scatter(
        x=list(line.x),
        y=list(line.y),
        mode="lines",
        line={"color": colour, "width": 2.4 if line.equal_cost else 1.4, "shape": shape}
        | ({} if line.equal_cost else {"dash": "dot"}),
        name=escape(line.name),
        hovertemplate=f"{escape(line.name)}: {hover}<extra></extra>",
    )


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _add_points(figure: go.Figure, points: Points) -> None:
    suffix, size = KINDS[points.kind]
    own = SYMBOLS[points.side % len(SYMBOLS)]
    marker = {
        "color": SIDES[points.side % len(SIDES)],
        "symbol": suffix if points.kind == "failed" else own + suffix,
        "size": size,
        "opacity": 0.85,
        "line": {"color": RING, "width": 0} if points.kind == "counts" else {"width": 1.5},
    }
    figure.add_scatter(
        x=list(points.x),
        y=list(points.y),
        mode="markers",
        name=escape(points.name),
        marker=marker,
        text=list(points.hover),
        hovertemplate="%{text}<extra></extra>",
    )
