"""What the figures share: colours, symbols, layout, axes."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from archspace.records.record import RunRecord
from archspace.units import shape_text, si

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH, HEIGHT = 940, 460
"""Pixels of a figure, also of its static copy; label placement counts on them."""

STATES = {
    "complete": ("#1f83c4", "circle"),
    "stopped": ("#7f8793", "diamond-open"),
    "failed": ("#d55e00", "x"),
    "unfinished": ("#b0609a", "triangle-up-open"),
}
"""Colour and symbol of each state; hues after Okabe and Ito, shifted to show on white and on black."""

FRONT = "#009e73"
INK = "#22262b"
FAINT = "#dfe2e6"
RING = "#6b7785"
BUDGET = "#a87900"


def at_target(record: RunRecord) -> str:
    """Where cost is counted: `3x224x224, 1000 classes`."""
    return f"{shape_text(record.config.target_input)}, {record.config.target_classes} classes"


def called(trial: Any) -> str:
    """What a trial is called, safe inside plotly's HTML subset: its name and id, or its id."""
    return escape(f"{trial.name} ({trial.id})" if trial.name else str(trial.id))


def new_figure(x_title: str, y_title: str) -> go.Figure:
    """An empty figure in the house style."""
    import plotly.graph_objects as go

    axis = {"gridcolor": FAINT, "linecolor": FAINT, "zeroline": False, "ticks": "outside", "tickcolor": FAINT}
    return go.Figure(
        layout={
            "width": WIDTH,
            "height": HEIGHT,
            "margin": {"l": 70, "r": 24, "t": 50, "b": 100},
            "paper_bgcolor": "white",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif", "color": INK},
            "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": INK}, "namelength": 0},
            "hovermode": "closest",
            "legend": {"orientation": "h", "x": 0, "y": -0.19, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8f97a2", "activecolor": RING},
            "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
            "yaxis": {**axis, "title": {"text": y_title, "standoff": 8}},
        }
    )


def escape(text: str) -> str:
    """Text that a figure shows as it is; plotly knows no `&quot;`, so quotes stay."""
    return html.escape(text, quote=False)


def nothing_yet(figure: go.Figure, sentence: str) -> None:
    """Say in the middle of an empty figure why it is empty."""
    figure.add_annotation(text=escape(sentence), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    figure.update_xaxes(showticklabels=False, showgrid=False, ticks="")
    figure.update_yaxes(showticklabels=False, showgrid=False, ticks="")


def log_ticks(low: float, high: float, unit: str) -> tuple[list[float], list[str]]:
    """Values and labels for a logarithmic axis: 1, 2, 5 a decade, decades where it is long, even steps where short."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        values = [step * 10.0**power for power in powers for step in steps]
        values = [value for value in values if low <= value <= high]
        if len(values) <= 9:
            break
    if len(values) < 3:
        values = _even_ticks(low, high)
    labels = [si(value, unit) for value in values]
    for digits in range(9):
        if len(set(labels)) == len(labels):
            break
        labels = [f"{value:,.{digits}f} {unit}" for value in values]
    return values, labels


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    return [step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1)]
