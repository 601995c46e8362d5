"""The design of a study: its anchors, and what each arm makes of them, before anything is trained."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archspace.analysis.contrasts import unit_of_cost
from archspace.data.tasks import Task
from archspace.errors import UserError
from archspace.genome import Genome, genome_data
from archspace.genomefile import genome_from_data
from archspace.seeds import derive
from archspace.space.budget import Budget, Limit
from archspace.space.sampler import sampled
from archspace.space.space import at
from archspace.study.file import Study
from archspace.study.match import Option, Pricing, Unmatched, matched

POOL = 60
"""Genomes drawn in a part of the cost range, from which its anchors are taken."""


@dataclass(frozen=True)
class Anchor:
    """A base genome with its cost in the study's measure, its strata, and each arm's genome and cost."""

    name: str
    cell: str
    stratum: str
    genome: Genome
    cost: float
    arms: Mapping[str, Option]

    def doublings(self, arm: str) -> float:
        """How often the arm doubles the anchor's cost."""
        return math.log2(self.arms[arm].cost / self.cost)


@dataclass(frozen=True)
class Design:
    """All anchors; `excluded` are draws that could not be matched, with the reason for each."""

    anchors: tuple[Anchor, ...]
    excluded: Mapping[str, str]

    def median_anchor(self, cell: str) -> Anchor:
        """The anchor of a cost stratum with the middle cost, the cheaper one of two."""
        ordered = sorted((anchor for anchor in self.anchors if anchor.cell == cell), key=lambda one: one.cost)
        return ordered[(len(ordered) - 1) // 2]


def make_design(study: Study, task: Task, tell: Callable[[str], None] = lambda _: None) -> Design:
    """Draw the anchors and match their arms.

    Raises UserError where a stratum cannot be filled, or the arms of a contrast share no cost.

    Each part of the cost range gets a pool of genomes, drawn within it by the budget-exact sampler and cut at the
    median shape (blocks over mean width, in the logarithm); the first of each half that all arms match are taken.
    """
    anchors: list[Anchor] = []
    excluded: dict[str, str] = {}
    strata = study.file.anchors.strata
    ends = [float(end) for end in np.geomspace(study.cost[0], study.cost[1], strata.cost + 1)]
    for part, (low, high) in enumerate(itertools.pairwise(ends), start=1):
        pool = _pool(study, task, low, high, part)
        middle = float(np.median([shape_of(genome) for genome in pool]))
        halves = {f"cost{part}": pool}
        if strata.shape == 2:
            deep = [shape_of(genome) > middle for genome in pool]
            halves = {
                f"cost{part}-{name}": [one for one, its in zip(pool, deep, strict=True) if its == wanted]
                for name, wanted in (("deep", True), ("wide", False))
            }
        for stratum, genomes in halves.items():
            anchors += _taken(study, task, f"cost{part}", stratum, genomes, excluded)
            tell(f"stratum {stratum}: {study.per_stratum} anchors")
    design = Design(tuple(anchors), excluded)
    for contrast in study.file.contrasts:
        pairs = [[anchor.doublings(arm) for arm in (contrast.a, contrast.b)] for anchor in anchors]
        unit_of_cost(f"study {study.name}, contrast of {contrast.a} and {contrast.b}", np.array(pairs))
    return design


def _taken(
    study: Study, task: Task, cell: str, stratum: str, genomes: Sequence[Genome], excluded: dict[str, str]
) -> list[Anchor]:
    """The first genomes of a stratum that all arms match; the reasons of those before them go to `excluded`."""
    file, price = study.file, Pricing(study.file.match.measure, task.input, task.classes, study.latency)
    found: list[Anchor] = []
    for genome in genomes:
        try:
            arms = matched(genome, file.arms, file.match, price)
        except Unmatched as error:
            excluded[genome.id] = f"{stratum}: {error}"
            continue
        found.append(Anchor(f"{stratum}-{len(found) + 1}", cell, stratum, genome, price(genome), arms))
        if len(found) == study.per_stratum:
            return found
    raise UserError(_unfilled(study, stratum, len(found), len(genomes), excluded))


def _pool(study: Study, task: Task, low: float, high: float, part: int) -> list[Genome]:
    space = at(study.space, task.input, task.classes)
    if study.latency is None:
        low, high = math.ceil(low), math.floor(high)
    limit = Limit(study.file.match.measure, low, high, predicted=study.latency)
    budget = Budget((limit,), (f"{study.file.anchors.cost[0]} to {study.file.anchors.cost[1]}",))
    wanted = POOL * study.per_stratum
    found = sampled(space, budget, wanted, derive(study.file.seed, "anchors", part)).candidates
    return [candidate.genome for candidate in found]


def shape_of(genome: Genome) -> float:
    """Blocks over the mean output width, in the logarithm."""
    blocks = sum(stage.depth for stage in genome.stages)
    widths: list[Any] = [stage.width or getattr(stage.genes, "growth_rate", 1) for stage in genome.stages]
    return math.log(blocks) - float(np.mean(np.log(widths)))


def _unfilled(study: Study, stratum: str, taken: int, tried: int, excluded: Mapping[str, str]) -> str:
    reasons = [reason for reason in excluded.values() if reason.startswith(f"{stratum}: ")]
    last = f"; the last: anchor {[*excluded][-1]}, {reasons[-1]}" if reasons else ""
    return (
        f"study {study.name}: stratum {stratum} has {taken} of {study.per_stratum} anchors: {tried} genomes were "
        f"drawn, {len(reasons)} of them cannot be matched{last}; widen match.ratio or match.tolerance, let an arm "
        "`trim` another axis, or take a space with finer genes"
    )


def design_text(design: Design) -> str:
    """A design as JSON, for people as well."""
    return json.dumps(design_data(design), indent=1) + "\n"


def design_data(design: Design) -> dict[str, Any]:
    """A design as plain data."""
    return {
        "anchors": [
            {
                "name": anchor.name,
                "cell": anchor.cell,
                "stratum": anchor.stratum,
                "genome": genome_data(anchor.genome),
                "cost": anchor.cost,
                "arms": {
                    name: {"genome": genome_data(option.genome), "cost": option.cost, "strain": option.strain}
                    for name, option in anchor.arms.items()
                },
            }
            for anchor in design.anchors
        ],
        "excluded": dict(design.excluded),
    }


def read_design(path: Path) -> Design:
    """The design in a file of `design_text`; raises OSError, ValueError, LookupError, TypeError or UserError."""
    data = json.loads(path.read_text(encoding="utf-8"))
    anchors = tuple(
        Anchor(
            item["name"],
            item["cell"],
            item["stratum"],
            genome_from_data(item["genome"]),
            item["cost"],
            {
                name: Option(genome_from_data(arm["genome"]), arm["cost"], arm["strain"])
                for name, arm in item["arms"].items()
            },
        )
        for item in data["anchors"]
    )
    return Design(anchors, data["excluded"])
