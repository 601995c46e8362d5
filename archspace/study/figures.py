"""A study's figures: each contrast with its interval, every anchor's effect, error against cost, the rates."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from archspace.analysis.findings import Finding
from archspace.report.style import FAINT, HEIGHT, INK, RING, new_figure
from archspace.study.file import Study
from archspace.study.findings import Findings
from archspace.study.results import Results

if TYPE_CHECKING:
    import plotly.graph_objects as go

PALETTE = ("#1f83c4", "#d55e00", "#009e73", "#b0609a", "#a87900", "#5b636d", "#56b4e9", "#e69f00")
"""A colour for each arm; hues after Okabe and Ito."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""A line for each cost stratum."""
VERDICTS = {"superior": "#009e73", "inferior": "#d55e00", "equivalent": "#1f83c4", "inconclusive": "#5b636d"}


def contrasts_figure(study: Study, results: Results, findings: Findings) -> go.Figure:  # noqa: ARG001
    """Each contrast: estimate and the interval that decides, in the colour of its verdict, beside the margin."""
    found = list(reversed(findings.registered.findings))
    figure = new_figure(f"{_unit(found)} (below zero: the first has the lower error)", "")
    margin = study.file.margin
    figure.add_vrect(x0=-margin, x1=margin, fillcolor=FAINT, opacity=0.5, line_width=0, layer="below")
    figure.add_vline(x=0, line={"color": RING, "width": 1})
    for finding in found:
        effect, colour = finding.effect, VERDICTS[finding.verdict]
        figure.add_scatter(
            x=[effect.value],
            y=[finding.contrast.name],
            error_x={"array": [effect.high - effect.value], "arrayminus": [effect.value - effect.low], "thickness": 2},
            marker={"size": 11, "color": colour},
            text=[f"  {finding.verdict}"],
            textposition="top center",
            textfont={"color": INK},
            mode="markers+text",
            showlegend=False,
            hovertemplate=f"{effect.value:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]",
        )
    figure.update_yaxes(range=[-0.6, len(found) - 0.3], automargin=True)
    return figure.update_layout(height=160 + 80 * len(found))


def anchors_figure(study: Study, results: Results, findings: Findings) -> go.Figure:  # noqa: ARG001
    """The effect at every anchor, seeds averaged, in the order of the anchors' cost."""
    costs = {anchor.name: anchor.cost for anchor in results.design.anchors}
    found = findings.registered.findings
    figure = new_figure("anchor, cheapest first", _unit(found))
    figure.add_hline(y=0, line={"color": RING, "width": 1})
    for finding, colour in zip(found, _colours([finding.contrast.name for finding in found]).values(), strict=True):
        pairs = sorted(zip(finding.anchors, finding.effects, strict=True), key=lambda pair: costs[pair[0]])
        figure.add_scatter(
            x=[name for name, _ in pairs],
            y=[effect for _, effect in pairs],
            mode="markers",
            name=finding.contrast.name,
            marker={"size": 9, "color": colour},
            hovertemplate="%{x}: %{y:+.2f}",
        )
    above = {"y": 1.02, "yanchor": "bottom"}  # names of anchors have the room below
    return figure.update_layout(legend=above, margin={"b": 150}, height=HEIGHT + 40)


def costs_figure(study: Study, results: Results, findings: Findings) -> go.Figure:  # noqa: ARG001
    """Test error against cost: every arm of every anchor, its seeds averaged, joined to the anchor's others."""
    measure = study.file.match.measure
    costs = {
        (anchor.name, arm): option.cost for anchor in results.design.anchors for arm, option in anchor.arms.items()
    }
    means = results.finals.groupby(["anchor", "arm"])["error"].mean().reset_index()
    means = means.assign(cost=[costs[key] for key in zip(means["anchor"], means["arm"], strict=True)])
    figure = new_figure(f"{measure} of one image (log scale)", "test error, mean of the seeds")
    for _, rows in means.groupby("anchor"):
        ordered = rows.sort_values(["cost", "error"])
        figure.add_scatter(
            x=ordered["cost"],
            y=ordered["error"],
            mode="lines",
            line={"color": FAINT, "width": 1.5},
            showlegend=False,
            hoverinfo="skip",
        )
    colours = _colours(list(study.file.arms))
    for arm, rows in means.groupby("arm"):
        figure.add_scatter(
            x=rows["cost"],
            y=rows["error"],
            mode="markers",
            name=str(arm),
            marker={"size": 9, "color": colours[str(arm)]},
            customdata=rows["anchor"],
            hovertemplate="%{customdata}: %{y:.2%}",
        )
    return figure.update_xaxes(type="log").update_yaxes(tickformat=".0%")


def rates_figure(study: Study, results: Results, findings: Findings) -> go.Figure:  # noqa: ARG001
    """Val error against learning rate in every cell at its median anchor; the rate taken is filled."""
    figure = new_figure("peak learning rate (log scale)", "val error at the median anchor")
    colours = _colours(list(study.file.arms))
    dashes = dict(zip(sorted({rate.cell for rate in results.rates}), itertools.cycle(DASHES), strict=False))
    for rate in results.rates:
        tried = sorted(rate.errors)
        figure.add_scatter(
            x=tried,
            y=[rate.errors[one] for one in tried],
            mode="lines+markers",
            name=f"{rate.arm}, {rate.cell}",
            line={"color": colours[rate.arm], "dash": dashes[rate.cell]},
            marker={"size": 8, "symbol": ["circle" if one == rate.rate else "circle-open" for one in tried]},
        )
    ticks = study.file.rates.grid
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{rate:g}" for rate in ticks])
    return figure.update_yaxes(tickformat=".0%").update_layout(height=HEIGHT + 80, margin={"b": 190})


Figure = Callable[[Study, Results, Findings], "go.Figure"]
FIGURES: Mapping[str, Figure] = {
    "contrasts": contrasts_figure,
    "anchors": anchors_figure,
    "costs": costs_figure,
    "rates": rates_figure,
}


def _colours(names: Sequence[str]) -> dict[str, str]:
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def _unit(found: Sequence[Finding]) -> str:
    return found[0].unit if len({finding.unit for finding in found}) == 1 else "effect"
