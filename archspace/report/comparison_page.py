"""A comparison on one page that needs nothing else, and the tables that it shares with the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archspace.analysis.comparison import Comparison, Difference, Distribution
from archspace.analysis.comparison_words import advice, verdicts
from archspace.report.comparison_data import comparison_data
from archspace.report.comparison_figures import FIGURES
from archspace.report.describe import short
from archspace.report.html import filled
from archspace.report.save import write_whole
from archspace.units import UNITS, percent, si

if TYPE_CHECKING:
    import pandas as pd

Table = tuple[Sequence[str], list[tuple[str, ...]]]
"""Headings and rows."""
ABOUT = {
    "edf": "Full lines: at equal cost, networks weighted so that every bin of cost counts the same on each side "
    "(arXiv:1905.13214). Shaded: 95 % band for the whole line at once (Dvoretzky-Kiefer-Wolfowitz, effective n). "
    "Dotted: as drawn. A line further left is better. A failed training counts as guessing.",
    "networks": "Every network once. Open symbols have no counterpart in cost on some other side and are left out of "
    "what is said at equal cost; dotted lines are the ends of the bins of cost.",
    "best_of": "What random search is expected to find: the least val error of n networks drawn from a space. Full "
    "lines at equal cost, dotted as drawn. Shaded: 95 % bootstrap interval, given up to a quarter of the sample.",
}


@dataclass(frozen=True)
class Shown:
    """A comparison with what stands beside its figures; `networks` is the table of all, `target` where cost counts."""

    title: str
    comparison: Comparison
    networks: pd.DataFrame
    where: str
    target: str
    notes: tuple[str, ...]


def sides_table(comparison: Comparison) -> Table:
    """A row for each side: how many networks, what they cost and reach, as drawn and at equal cost."""
    unit = UNITS[comparison.measure]
    headings = (
        *("side", "networks", "failed", "left out", "effective n", "median error", "at equal cost"),
        *(f"mean {comparison.measure}", "at equal cost"),
    )
    rows: list[tuple[str, ...]] = []
    for side in comparison.sides:
        matched = side.matched
        rows.append(
            (
                side.sample.name,
                str(len(side.sample.errors)),
                str(side.sample.failed),
                str(side.left_out),
                _effective(matched or side.drawn),
                percent(side.drawn.median),
                percent(matched.median) if matched else "–",
                si(side.drawn.cost, unit),
                si(matched.cost, unit) if matched else "–",
            )
        )
    return headings, rows


def tests_table(comparison: Comparison) -> Table:
    """A row for each pair: both tests, and the differences at equal cost in points."""
    headings = (
        *("pair", "KS as drawn", "p", "KS at equal cost", "p", "p of all pairs"),
        *("median, points", "best of n, points", "n"),
    )
    names = [side.sample.name for side in comparison.sides]
    rows: list[tuple[str, ...]] = [
        (
            f"{names[pair.one]} / {names[pair.other]}",
            f"{pair.drawn.statistic:.2f}",
            f"{pair.drawn.p:.3g}",
            f"{pair.ks.statistic:.2f}",
            f"{pair.ks.p:.3g}",
            f"{pair.p:.3g}",
            _points(pair.median),
            _points(pair.best),
            str(pair.best_n),
        )
        for pair in comparison.pairs
    ]
    return headings, rows


def networks_table(networks: pd.DataFrame) -> Table:
    """Every network, the best of each side first."""
    figures = ("params", "macs", "flops", "acts")
    rows = [
        (
            str(row["side"]),
            str(row["id"]),
            str(row["state"]),
            percent(float(row["error"])),
            *(si(float(row[figure]), UNITS[figure]) for figure in figures),
            short(str(row["genome"])),
        )
        for _, row in networks.sort_values(["side", "error"]).iterrows()
    ]
    return ("side", "genome", "state", "val error", *figures, "blocks, depths / widths"), rows


def comparison_html(shown: Shown) -> str:
    """The page as text: scripts, styles and figures inlined, everything from the run escaped."""
    data = comparison_data(shown.comparison, shown.networks)
    return filled(
        "comparison.html",
        {name: make(data, shown.target) for name, make in FIGURES.items()},
        title=shown.title,
        verdicts=verdicts(shown.comparison),
        where=shown.where,
        notes=shown.notes,
        advice=[advice(side) for side in shown.comparison.sides],
        about=ABOUT,
        sides=sides_table(shown.comparison),
        tests=tests_table(shown.comparison),
        networks=networks_table(shown.networks),
    )


def write_comparison(shown: Shown, path: Path) -> Path:
    """Write the page, whole or not at all; raises UserError if it cannot be written."""
    write_whole(path, comparison_html(shown).encode())
    return path


def _effective(held: Distribution) -> str:
    return f"{held.edf.effective:.1f}"


def _points(difference: Difference) -> str:
    return f"{100 * difference.value:+.2f} ({100 * difference.low:+.2f} to {100 * difference.high:+.2f})"
