"""Draws docs/comparing-spaces/*.svg and prints the figures in docs/comparing-spaces.md.

`python docs/published_cardinality.py [CSV]` reads the errors published by the pytorchcv project (MIT license,
https://github.com/osmr/imgclsmob): the file that is named, else resnet_family_cifar_svhn_errors.csv in ARCHSPACE_DATA,
else ../shared/reference beside this checkout. Costs are archspace's own.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from archspace.analysis.comparison import Comparison, Sample, compare
from archspace.analysis.comparison_words import verdicts
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.closed_form import Cost, cost_of
from archspace.genome import Genome, Stage, Stem, canonical_json
from archspace.report.comparison_data import comparison_data
from archspace.report.comparison_figures import FIGURES, SIDES, SYMBOLS
from archspace.report.save import save_figure
from archspace.report.style import log_ticks, new_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "comparing-spaces"
FILE = "resnet_family_cifar_svhn_errors.csv"
TASKS = {"CIFAR-10": 10, "CIFAR-100": 100, "SVHN": 10}
SLIPS = {("ResNeXt-20 (32x2d)", "err_CIFAR-100"): 23.22}
"""Cells of the file that differ from what the project publishes."""
FEW = 8
"""The most groups of what is called few here."""


@dataclass(frozen=True)
class Row:
    """A published network with its val error on each task (a fraction) and its cost at 3x32x32 and 10 classes."""

    name: str
    depth: int
    cardinality: int
    inner: int
    errors: dict[str, float]
    cost: Cost
    genome: Genome


def genome(depth: int, cardinality: int, group_width: int) -> Genome:
    """A ResNeXt for 32 px: (depth - 2) / 9 blocks in each of three stages of 256, 512 and 1024 channels."""
    stages = tuple(
        Stage(
            "bottleneck",
            (depth - 2) // 9,
            256 * times,
            1 + (times > 1),
            BottleneckGenes(group_width * times, cardinality),
        )
        for times in (1, 2, 4)
    )
    return Genome(stages, Stem("cifar", 64))


def read(path: Path) -> list[Row]:
    """The cardinality sweep of ResNeXt-20 and ResNeXt-56; raises SystemExit where params are not those of the file."""
    table = pd.read_csv(path)
    for (model, column), value in SLIPS.items():
        table.loc[table["model"] == model, column] = value
    table = table[(table["family"] == "ResNeXt") & table["depth"].isin((20, 56))]
    rows = []
    for line in table.to_dict("records"):
        depth, groups, width = (int(line[key]) for key in ("depth", "cardinality", "width_per_group"))
        made = genome(depth, groups, width)
        for task, classes in TASKS.items():
            params = cost_of(made, (3, 32, 32), classes).params
            if params != line[f"params_{task}"]:
                raise SystemExit(
                    f"{line['model']}: {params} params on {task}, published are {line[f'params_{task}']:.0f}"
                )
        errors = {task: line[f"err_{task}"] / 100 for task in TASKS}
        rows.append(Row(line["model"], depth, groups, groups * width, errors, cost_of(made, (3, 32, 32), 10), made))
    return rows


def sweeps(rows: list[Row]) -> dict[str, list[Row]]:
    """The networks of one depth and one inner width (cardinality x group width), by rising cardinality."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.depth, row.inner, row.cardinality)):
        found.setdefault(f"ResNeXt-{row.depth}, inner width {row.inner}", []).append(row)
    return found


def few_against_many(rows: list[Row], task: str) -> tuple[Comparison, pd.DataFrame]:
    """Up to FEW groups against more, on ResNeXt-20, where two inner widths give both a range of costs."""
    own = [row for row in rows if row.depth == 20]
    sides = {f"up to {FEW} groups": [row for row in own if row.cardinality <= FEW]}
    sides[f"{2 * FEW} groups and more"] = [row for row in own if row.cardinality > FEW]
    samples = [
        Sample(name, np.array([row.errors[task] for row in side]), np.array([row.cost.flops for row in side]))
        for name, side in sides.items()
    ]
    networks = pd.DataFrame(
        [
            {"side": name, "id": row.name, "state": "published", "reason": "", "genome": canonical_json(row.genome)}
            for name, side in sides.items()
            for row in side
        ]
    )
    return compare(samples, bins=1), networks


def cardinality_figure(rows: list[Row], task: str) -> go.Figure:
    """Error over cost, a line for each sweep, cardinality beside each point."""
    figure = new_figure("flops at 3x32x32, 10 classes", f"published error on {task} (%)")
    costs = [float(row.cost.flops) for row in rows]
    values, labels = log_ticks(min(costs) * 0.93, max(costs) * 1.07, "FLOPs")
    figure.update_xaxes(type="log", range=np.log10([min(costs) * 0.93, max(costs) * 1.07]).tolist())
    figure.update_xaxes(tickvals=values, ticktext=labels, ticklabeloverflow="allow")
    figure.update_layout(margin={"t": 24})
    for side, (name, sweep) in enumerate(sweeps(rows).items()):
        figure.add_scatter(
            x=[row.cost.flops for row in sweep],
            y=[100 * row.errors[task] for row in sweep],
            mode="lines+markers+text",
            text=[str(row.cardinality) for row in sweep],
            textposition=["top center" if number % 2 else "bottom center" for number in range(len(sweep))],
            name=name,
            line={"color": SIDES[side], "width": 1.2},
            marker={"symbol": SYMBOLS[side], "size": 9},
        )
    return figure


def sweep_line(name: str, sweep: list[Row], task: str) -> str:
    """A sweep's costs, errors and how error follows cardinality (Kendall's tau)."""
    errors = [row.errors[task] for row in sweep]
    tau = kendalltau([row.cardinality for row in sweep], errors)
    ends = " to ".join(f"{row.cost.flops / 1e6:.1f}" for row in (sweep[0], sweep[-1]))
    told = ", ".join(f"{100 * error:.2f}" for error in errors)
    groups = f"{sweep[0].cardinality} to {sweep[-1].cardinality} groups"
    return f"{name}, {groups}: {ends} MFLOPs; {told}; tau {tau.statistic:+.2f}"


def comparison_lines(comparison: Comparison) -> list[str]:
    """The verdict, the test as drawn, and what was matched."""
    drawn = comparison.pairs[0].drawn
    lines = [verdicts(comparison)[0], f"as drawn: KS {drawn.statistic:.2f}, p {drawn.p:.2f}"]
    for side in comparison.sides:
        assert side.matched is not None
        costs = f"mean flops {side.drawn.cost / 1e6:.0f} M, of those matched {side.matched.cost / 1e6:.0f} M"
        counts = f"{len(side.sample.errors)} networks, {side.left_out} left out"
        lines.append(f"{side.sample.name}: {counts}; {costs}; band ±{side.matched.edf.half_width:.2f}")
    return lines


def main(path: Path) -> None:
    rows = read(path)
    for task in TASKS:
        comparison, networks = few_against_many(rows, task)
        print(task)
        for line in (
            *(sweep_line(name, sweep, task) for name, sweep in sweeps(rows).items()),
            *comparison_lines(comparison),
        ):
            print(f"  {line}")
        if task == "CIFAR-100":
            data = comparison_data(comparison, networks)
            edf = FIGURES["edf"](data, "3x32x32, 10 classes")
            edf.update_xaxes(title_text=f"published error on {task} (%)")
            save_figure(edf, FOLDER / "edf.svg", "edf")
            save_figure(cardinality_figure(rows, task), FOLDER / "cardinality.svg", "cardinality")


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    kept = (
        Path(os.environ["ARCHSPACE_DATA"]) if "ARCHSPACE_DATA" in os.environ else ROOT.parent / "shared" / "reference"
    )
    file = given or kept / FILE
    if not file.is_file():
        raise SystemExit(f"{file}: no such file; name it, or set ARCHSPACE_DATA to its folder")
    main(file)
