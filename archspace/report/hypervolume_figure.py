"""Hypervolume over time: how fast a run found its front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspace.analysis.front import hypervolume_over_time
from archspace.records.record import RunRecord
from archspace.report.style import STATES, new_figure, nothing_yet

if TYPE_CHECKING:
    import plotly.graph_objects as go

CLOCKS = ((7200.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From how many seconds on a unit is used, its seconds, its name."""


@dataclass(frozen=True)
class HypervolumeData:
    """Time in `clock` since the run began, complete trials so far, hypervolume in error x nats."""

    at: list[float]
    trials: list[int]
    hypervolume: list[float]
    clock: str


def hypervolume_data(record: RunRecord) -> HypervolumeData:
    """The hypervolume of the run's measure and cap after each complete trial."""
    config = record.config
    rows = hypervolume_over_time(record.trials, config.measure, config.cap, config.task.classes)
    last = float(rows["at"].max()) if len(rows) else 0.0
    seconds, clock = next((seconds, clock) for start, seconds, clock in CLOCKS if last >= start)
    return HypervolumeData([at / seconds for at in rows["at"]], list(rows["trials"]), list(rows["hypervolume"]), clock)


def hypervolume_figure(record: RunRecord) -> go.Figure:
    """Hypervolume (error x nats) over the time since the run began, as a step line."""
    data = hypervolume_data(record)
    figure = new_figure(f"time since the run began ({data.clock})", "hypervolume (error x nats)")
    figure.update_layout(height=360, margin={"b": 60})
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    if not data.at:
        nothing_yet(figure, "No trial has finished the top rung.")
        return figure
    figure.add_scatter(
        x=[0.0, *data.at],
        y=[0.0, *data.hypervolume],
        text=[str(count) for count in (0, *data.trials)],
        mode="lines+markers" if len(data.at) <= 60 else "lines",
        line={"color": STATES["complete"][0], "width": 2, "shape": "hv"},
        marker={"size": 5},
        showlegend=False,
        hovertemplate=f"%{{y:.4f}} error x nats<br>%{{x:.2f}} {data.clock}, %{{text}} complete trials<extra></extra>",
    )
    return figure
