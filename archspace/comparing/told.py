"""A comparison's result as plain data and as what its page shows."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from archspace.analysis.comparison import Comparison, Distribution, Side
from archspace.analysis.comparison_words import advice, verdicts
from archspace.comparing.compare import Compared
from archspace.report.comparison_page import Shown
from archspace.units import shape_text


def shown(compared: Compared) -> Shown:
    """What the page of a finished comparison shows."""
    assert compared.comparison is not None
    assert compared.networks is not None
    names = " against ".join(side.sample.name for side in compared.comparison.sides)
    budget = f" within {compared.request.budget}" if compared.request.budget.text else ""
    return Shown(
        title=f"{names}{budget}",
        comparison=compared.comparison,
        networks=compared.networks,
        where=where_line(compared),
        target=f"{shape_text(compared.target[0])}, {compared.target[1]} classes",
        notes=compared.notes,
    )


def where_line(compared: Compared) -> str:
    """Target, task, recipe and seed in one line."""
    task, epochs = compared.task, compared.recipe.epochs
    return (
        f"Cost is {compared.request.measure} at {shape_text(compared.target[0])} with {compared.target[1]} classes; "
        f"networks were trained on {task.name} at {shape_text(task.input)} with {task.classes} classes, "
        f"{epochs} epoch{'s' * (epochs > 1)}, once each; drawn and resampled with seed {compared.request.seed}."
    )


def data(compared: Compared) -> dict[str, Any]:
    """The result as plain data; errors are fractions."""
    comparison, networks = compared.comparison, compared.networks
    told: dict[str, Any] = {
        "folder": str(compared.folder) if compared.folder else None,
        "trained": compared.trained,
        "asked": compared.asked,
        "budget": list(compared.request.budget.text),
        "seed": compared.request.seed,
        "target": {"input": list(compared.target[0]), "classes": compared.target[1]},
        "task": {
            "name": compared.task.name,
            "input": list(compared.task.input),
            "classes": compared.task.classes,
        },
        "recipe": compared.recipe.model_dump(mode="json"),
        "notes": list(compared.notes),
    }
    if comparison is None or networks is None:
        return told
    return told | {
        "measure": comparison.measure,
        "verdicts": verdicts(comparison),
        "sides": [_side(side) for side in comparison.sides],
        "pairs": _pairs(comparison),
        "bins": list(comparison.matched.edges) if comparison.matched else None,
        "networks": networks.drop(columns="genome").to_dict("records"),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.sample.name,
        "networks": len(side.sample.errors),
        "failed": side.sample.failed,
        "left_out": side.left_out,
        "as_drawn": _distribution(side.drawn),
        "equal_cost": _distribution(side.matched) if side.matched else None,
        "stopping": asdict(side.stopping) | {"best_found": side.stopping.best_found, "advice": advice(side)},
    }


def _distribution(held: Distribution) -> dict[str, Any]:
    edf, best = held.edf, held.best_of
    return {
        "median": held.median,
        "mean_cost": held.cost,
        "n": edf.n,
        "effective_n": edf.effective,
        "half_width": edf.half_width,
        "edf": {name: getattr(edf, name).tolist() for name in ("errors", "shares", "low", "high")},
        "best_of": {
            "n": best.draws.tolist(),
            "expected": best.expected.tolist(),
            "low": [None if math.isnan(end) else end for end in best.low.tolist()],
            "high": [None if math.isnan(end) else end for end in best.high.tolist()],
        },
    }


def _pairs(comparison: Comparison) -> list[dict[str, Any]]:
    names = [side.sample.name for side in comparison.sides]
    return [
        {
            "one": names[pair.one],
            "other": names[pair.other],
            "ks_as_drawn": asdict(pair.drawn),
            "ks_equal_cost": asdict(pair.ks),
            "p": pair.p,
            "median": asdict(pair.median),
            "best": asdict(pair.best) | {"n": pair.best_n},
        }
        for pair in comparison.pairs
    ]
