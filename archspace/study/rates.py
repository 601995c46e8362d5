"""Learning rates: every cell, an arm in a cost stratum, has the same tuning budget, on seeds of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspace.searching.queue import Training
from archspace.seeds import derive
from archspace.study.design import Design
from archspace.study.file import Study

if TYPE_CHECKING:
    import pandas as pd

TUNING = "tuning"


@dataclass(frozen=True)
class Rate:
    """What a cell learned: the rate with the lowest mean val error, and all of them (a fraction each).

    `edge` says that it is an end of the grid, so that a better one may lie beyond.
    """

    cell: str
    arm: str
    rate: float
    edge: bool
    errors: Mapping[float, float]


def tuning_trainings(study: Study, design: Design) -> list[Training]:
    """What is trained to choose the rates: the arms of each cost stratum's median anchor at each rate of the grid."""
    file = study.file
    trainings: list[Training] = []
    for cell in sorted({anchor.cell for anchor in design.anchors}):
        anchor = design.median_anchor(cell)
        for arm, option in anchor.arms.items():
            for rate in file.rates.grid:
                for replicate in range(file.rates.seeds):
                    labels: dict[str, Any] = {"purpose": TUNING, "anchor": anchor.name, "stratum": anchor.stratum}
                    labels |= {"cell": cell, "arm": arm, "rate": rate, "replicate": replicate}
                    seed = derive(file.seed, TUNING, arm, option.genome.id, replicate)
                    recipe = study.recipe.model_copy(update={"lr": rate})
                    name = f"{TUNING}/{cell}/{arm}/{rate:g}/{replicate}"
                    trainings.append(Training(name, option.genome, seed, recipe, labels))
    return trainings


def chosen_rates(study: Study, tuned: pd.DataFrame, classes: int) -> list[Rate]:
    """The best rate of each cell by mean val error; a training that diverged has the error of guessing.

    `tuned` has cell, arm, rate, error and state. Of equal rates the smaller is taken.
    """
    guessing = 1 - 1 / classes
    scored = tuned.assign(error=tuned["error"].where(tuned["state"] == "complete", guessing))
    found: list[Rate] = []
    for (cell, arm), rows in scored.groupby(["cell", "arm"], sort=True):
        means = rows.groupby("rate")["error"].mean().reset_index()
        errors = {float(rate): float(mean) for rate, mean in zip(means["rate"], means["error"], strict=True)}
        best = min(errors, key=lambda rate: (errors[rate], rate))
        ends: Sequence[float] = (study.file.rates.grid[0], study.file.rates.grid[-1])
        edge = len(errors) > 1 and any(math.isclose(best, end) for end in ends)
        found.append(Rate(str(cell), str(arm), best, edge, errors))
    return found
