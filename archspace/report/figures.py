"""All figures of a report by name, and their static copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archspace.records.record import RunRecord
from archspace.report.curves_figure import curves_figure
from archspace.report.front_figure import front_figure
from archspace.report.hypervolume_figure import hypervolume_figure
from archspace.report.save import save_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIGURES: dict[str, Callable[[RunRecord], go.Figure]] = {
    "front": front_figure,
    "curves": curves_figure,
    "hypervolume": hypervolume_figure,
}


def save_figures(record: RunRecord, folder: Path, format: Literal["svg", "png"] = "svg") -> list[Path]:
    """Write every figure into `folder` as front.svg and so on; PNG at twice the pixels of the page.

    Raises UserError if kaleido, or the browser that it draws with, is missing.
    """
    paths = [folder / f"{name}.{format}" for name in FIGURES]
    for path, figure in zip(paths, FIGURES.values(), strict=True):
        save_figure(figure(record), path, path.stem)
    return paths
