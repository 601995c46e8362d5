"""Pages from templates: one file each, with scripts, styles and figures inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLOTLY_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def filled(page: str, figures: Mapping[str, go.Figure], **values: Any) -> str:
    """`page` of the folder pages with its values, all of them escaped; figure f has the id `figure-f`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("archspace.report", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = {
        key: Markup(
            figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"figure-{key}", config=PLOTLY_CONFIG)
        )
        for key, figure in figures.items()
    }
    return environment.get_template(page).render(figures=drawn, plotly=Markup(get_plotlyjs()), **values)
