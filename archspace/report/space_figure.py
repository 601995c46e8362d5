"""The picture of a space: the spread of its costs beside the genes that drive them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from archspace.report.space_data import SpaceData, space_data
from archspace.report.style import BUDGET, FAINT, HEIGHT, INK, RING, STATES, WIDTH, log_ticks, new_figure
from archspace.units import UNITS, si

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
"""Percent of the settings that a stroke reaches from and to, its width in pixels, its name."""
TOP, BOTTOM, RIGHT = 104, 104, 24
"""Pixels above, below and right of the plots."""
ROW, LINE = 58, 27
"""Pixels of a family, and of a gene where there is one space."""
CHARACTER = 6.8
"""Pixels of a character at 12 px."""
GAP = 16
"""Pixels between the plots beside what stands between them."""


def space_figure(described: Mapping[str, Any]) -> go.Figure:
    """The picture, from what archspace.space.describe.describe gives.

    Left: cost (log axis, in the measure's unit), as a histogram in percent of the settings; of several families a row
    of quantiles each. Dashed: the budget. Right: how closely cost follows the strongest genes.
    """
    data = space_data(described)
    several = len(data.rows) > 1
    figure = new_figure(f"{data.measure} at {data.where}", "" if several else "share of the settings (%)")
    height = ROW * len(data.rows) if several else max(HEIGHT - TOP - BOTTOM, LINE * len(data.rows[0].bars))
    left = round(GAP + CHARACTER * max(len(row.name) for row in data.rows)) if several else 64
    figure.update_layout(
        height=height + TOP + BOTTOM,
        margin={"l": left, "r": RIGHT, "t": TOP, "b": BOTTOM},
        title={
            "text": f"<b>{escape(data.title)}</b><br><span style='font-size:12px'>{escape(data.about)}</span>",
            "font": {"size": 15, "color": INK},
            **{"x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 14}},
        },
        legend={"y": -56 / height},
        bargap=0,
    )
    values, labels = log_ticks(*data.x, UNITS[described["drivers"]["measure"]])
    ...


def _domains(data: SpaceData, left: int) -> tuple[float, float]:
    """Where the left plot ends and the right one begins, as shares of the width between the margins."""
