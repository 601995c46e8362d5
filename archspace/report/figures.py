"""All figures of a report by name, and their static copies."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archspace.errors import UserError
from archspace.records.record import RunRecord
from archspace.report.curves_figure import curves_figure
from archspace.report.front_figure import front_figure
from archspace.report.hypervolume_figure import hypervolume_figure

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
    if find_spec("kaleido") is None:
        raise UserError("static pictures need kaleido, which is not installed: pip install archspace[static]")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in FIGURES.items():
        path = folder / f"{name}.{format}"
        try:
            figure(record).write_image(path, format=format, scale=2 if format == "png" else 1)
        except RuntimeError as error:
            if "Chrome" not in str(error):
                raise
            raise UserError(f"{path}: kaleido draws with Chrome or Chromium and found neither: install one") from None
        paths.append(path)
    return paths
