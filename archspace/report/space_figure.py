"""The picture of a space: the spread of its costs beside the genes that drive them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from archspace.report.space_data import Bar, Row, SpaceData, space_data
from archspace.report.style import BUDGET, FAINT, HEIGHT, INK, STATES, WIDTH, escape, log_ticks, new_figure
from archspace.units import si

if TYPE_CHECKING:
    import plotly.graph_objects as go

COST = STATES["complete"][0]
WAYS = {
    "rises": (COST, "cost rises with the gene"),
    "falls": (STATES["failed"][0], "cost falls with it"),
    "words": (STATES["stopped"][0], "words: correlation ratio of ranks"),
}
"""Colour and name of each way in which cost follows a gene."""
STROKES = (((0, 100), 1.5, "least to greatest"), ((5, 95), 4.0, "5 to 95%"), ((25, 75), 11.0, "25 to 75%"))
"""Percent of the settings at which a stroke begins and ends, its width in pixels, its name."""
TOP, BOTTOM, RIGHT = 96, 110, 24
"""Pixels above, below and right of the plots."""
ROW, LINE = 58, 27
"""Pixels of a family, and of a gene where there is one space."""
BARS = 250, 340
"""Pixels of the right plot for one space, and for several families."""
CHARACTER, SMALL, GAP, TICK = 6.8, 6.0, 18, 88
"""Pixels of a character at 12 px and at 11 px, between things side by side, of a label on the axis of cost."""


def space_figure(described: Mapping[str, Any]) -> go.Figure:
    """The picture, from what archspace.space.describe.describe gives.

    Left: cost (log axis, in the measure's unit), as a histogram in percent of the settings; of several families a row
    of quantiles each. Dashed: the budget. Right: how closely cost follows the strongest genes.
    """
    data = space_data(described)
    several = len(data.rows) > 1
    figure = new_figure(f"{data.measure} at {data.where}", "" if several else "share of the settings (%)")
    _lay_out(figure, data, several)
    if several:
        _add_rows(figure, data)
    else:
        _add_histogram(figure, data)
        _add_genes(figure, data.rows[0].bars)
    _add_budget(figure, data)
    return figure


def _lay_out(figure: go.Figure, data: SpaceData, several: bool) -> None:
    """Sizes, title, and the two plots side by side with room for what stands between them."""
    height = ROW * len(data.rows) if several else max(HEIGHT - TOP - BOTTOM, LINE * len(data.rows[0].bars))
    left = round(GAP + CHARACTER * max(len(row.name) for row in data.rows)) if several else 64
    names = [row.share for row in data.rows] if several else [bar.gene for bar in data.rows[0].bars]
    between = 2 * GAP + CHARACTER * max(map(len, names), default=0)
    width = WIDTH - left - RIGHT
    first, second = (width - BARS[several] - between) / width, (width - BARS[several]) / width
    figure.update_layout(
        height=height + TOP + BOTTOM,
        margin={"l": left, "r": RIGHT, "t": TOP, "b": BOTTOM},
        legend={"x": 0, "y": -62 / height},
        barmode="overlay",
    )
    figure.add_annotation(
        text=f"<b>{escape(data.title)}</b><br><span style='font-size:12px'>{escape(data.about)}</span>",
        font={"size": 15},
        align="left",
        showarrow=False,
        **{"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 34},
    )
    values, labels = log_ticks(*data.x, data.unit)
    apart = max(1, math.ceil(len(values) * TICK / (first * width)))
    figure.update_xaxes(type="log", range=[math.log10(end) for end in data.x], domain=[0, first], tickangle=0)
    figure.update_xaxes(tickvals=values[::apart], ticktext=labels[::apart])
    # The bars of families carry their labels behind them: 1 is where the longest of these leaves room.
    longest = max((len(_behind(bar, several)) for row in data.rows for bar in row.bars), default=0)
    reach = BARS[several] / max(90.0, BARS[several] - SMALL * longest - GAP)
    own = {"gridcolor": FAINT, "linecolor": FAINT, "zeroline": False, "tickcolor": FAINT}
    title = {"text": f"rank correlation with {data.measure}{data.cut}", "standoff": 8}
    figure.update_layout(
        xaxis2={
            **own,
            "domain": [second, 1],
            "anchor": "y2",
            "range": [0, reach],
            "tickvals": [0, 0.5, 1],
            "title": title,
        },
        yaxis2={**own, "domain": [0, 1], "anchor": "x2", "showgrid": False},
    )


def _behind(bar: Bar, several: bool) -> str:
    return f"{bar.gene} {bar.label}" if several else bar.label


def _add_histogram(figure: go.Figure, data: SpaceData) -> None:
    """How many settings cost how much, below a strip with their quantiles."""
    figure.update_layout(yaxis={"domain": [0, 0.88], "rangemode": "tozero"})
    figure.update_layout(yaxis3={"domain": [0.91, 1], "anchor": "x", "range": [-1, 1], "visible": False})
    told = [f"{si(low, data.unit)} to {si(high, data.unit)}" for low, high in pairwise(data.edges)]
    figure.add_scatter(
        x=data.edges,
        y=[*data.shares, 0],
        line={"shape": "hv", "color": COST, "width": 1},
        mode="lines",
        fill="tozeroy",
        text=[*told, ""],
        hovertemplate="%{y:.2f}% of the settings: %{text}<extra></extra>",
        showlegend=False,
    )
    _add_strokes(figure, data, [0.0], "y3")


def _add_genes(figure: go.Figure, bars: tuple[Bar, ...]) -> None:
    """A bar for each gene, the strongest on top."""
    places = [float(len(bars) - 1 - number) for number in range(len(bars))]
    figure.update_layout(
        yaxis2={"range": [-0.6, len(bars) - 0.4], "tickvals": places, "ticktext": [escape(bar.gene) for bar in bars]}
    )
    _add_bars(figure, bars, places, 0.62, False)


def _add_rows(figure: go.Figure, data: SpaceData) -> None:
    """A row for each family: quantiles of its cost, its share in the budget, its strongest genes."""
    count = len(data.rows)
    middles = [float(count - 1 - number) for number in range(count)]
    ends = [-0.55, count - 0.45]
    names = [escape(row.name) for row in data.rows]
    figure.update_yaxes(range=ends, tickvals=middles, ticktext=names, showgrid=True, selector={"anchor": None})
    figure.update_layout(yaxis2={"range": ends, "showticklabels": False})
    _add_strokes(figure, data, middles, "y")
    bars = [bar for row in data.rows for bar in row.bars]
    places = [
        middle + 0.28 - 0.28 * at for middle, row in zip(middles, data.rows, strict=True) for at in range(len(row.bars))
    ]
    _add_bars(figure, tuple(bars), places, 0.2, True)
    for middle, row in zip(middles, data.rows, strict=True):
        if row.share:
            place = {"x": figure.layout.xaxis.domain[1], "xref": "paper", "y": middle, "yref": "y"}
            text = {"text": row.share, "font": {"color": BUDGET}, "showarrow": False}
            figure.add_annotation(**place, **text, xanchor="left", xshift=GAP / 2)


def _add_strokes(figure: go.Figure, data: SpaceData, middles: list[float], axis: str) -> None:
    """Quantiles of the cost of each row as strokes, a dot for its median."""
    for (low, high), width, name in STROKES:
        x: list[float | None] = []
        y: list[float | None] = []
        for middle, row in zip(middles, data.rows, strict=True):
            x += [_at(row, low), _at(row, high), None]
            y += [middle, middle, None]
        line = {"color": COST, "width": width}
        figure.add_scatter(x=x, y=y, yaxis=axis, mode="lines", line=line, name=name, hoverinfo="skip")
    figure.add_scatter(
        x=[row.quantiles[50] for row in data.rows],
        y=middles,
        yaxis=axis,
        mode="markers",
        marker={"color": "white", "size": 8, "line": {"color": INK, "width": 1.5}},
        name="median",
        text=[_hover(row, data.unit) for row in data.rows],
        hovertemplate="%{text}<extra></extra>",
    )


def _at(row: Row, percent: int) -> float:
    return row.quantiles[percent] if percent in row.quantiles else row.ends[percent == 100]


def _hover(row: Row, unit: str) -> str:
    figures = [("least", row.ends[0]), *((f"{share}%", cost) for share, cost in row.quantiles.items())]
    told = [f"{name}: {si(cost, unit)}" for name, cost in [*figures, ("greatest", row.ends[1])]]
    return "<br>".join([f"<b>{escape(row.name)}</b>", *told])


def _add_bars(figure: go.Figure, bars: tuple[Bar, ...], places: list[float], width: float, several: bool) -> None:
    """Bars as long as cost follows each gene closely, with labels behind them; a colour for each way."""
    for way, (colour, name) in WAYS.items():
        own = [(bar, place) for bar, place in zip(bars, places, strict=True) if bar.way == way]
        if own:
            figure.add_bar(
                x=[bar.strength for bar, _ in own],
                y=[place for _, place in own],
                xaxis="x2",
                yaxis="y2",
                orientation="h",
                width=width,
                marker={"color": colour},
                name=name,
                text=[escape(_behind(bar, several)) for bar, _ in own],
                textposition="outside",
                constraintext="none",
                textfont={"size": 11, "color": INK},
                cliponaxis=False,
                hoverinfo="skip",
            )


def _add_budget(figure: go.Figure, data: SpaceData) -> None:
    """The costs that keep the budget, shaded between dashed lines over the left plot; what it says above."""
    if data.high is not None:
        ends = {"x0": data.low or data.x[0], "x1": data.high, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
        figure.add_shape(type="rect", **ends, fillcolor=BUDGET, opacity=0.08, line={"width": 0}, layer="below")
    for end in (data.low, data.high):
        if end is not None:
            line = {"color": BUDGET, "width": 1.5, "dash": "dash"}
            figure.add_shape(type="line", x0=end, x1=end, xref="x", y0=0, y1=1, yref="paper", line=line)
    if data.budget:
        text = {"text": escape(data.budget), "font": {"color": BUDGET}, "showarrow": False}
        figure.add_annotation(**text, x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=4)
