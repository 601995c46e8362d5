"""What a comparison is asked for, resolved and drawn, and the folder that its networks are kept in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from archspace.analysis.best_of import HALF_WIDTH, TOLERANCE
from archspace.comparing.drawn import Draw, check_budget, draw_from
from archspace.comparing.entrants import Entrant, check_trained_alike, entrants
from archspace.data.tasks import load_task
from archspace.errors import UserError
from archspace.records.config import BatchConfig, TaskConfig
from archspace.records.ledger import BatchLedger
from archspace.space.budget import Budget
from archspace.training.recipe import Recipe


@dataclass(frozen=True)
class CompareRequest:
    """What is compared: names of spaces and runs, `n` networks of each space within the budget.

    `everything` takes all trials of runs, not only those drawn at random. `tolerance` (error, a fraction) and `wanted`
    (half width of a band) are those of the advice when to stop.
    """

    names: tuple[str, ...]
    budget: Budget = field(default_factory=Budget)
    n: int = 20
    task: str = "digits"
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    runs: Path = Path("runs")
    name: str | None = None
    concurrency: int | None = None
    gpus_per_trial: float | None = None
    measure: str = "flops"
    everything: bool = False
    tolerance: float = TOLERANCE
    wanted: float = HALF_WIDTH


@dataclass(frozen=True)
class Prepared:
    """A request whose names are resolved and whose networks are drawn; nothing is trained or written yet."""

    request: CompareRequest
    entrants: tuple[Entrant, ...]
    draws: tuple[Draw, ...]
    task: TaskConfig
    recipe: Recipe


def prepare(request: CompareRequest) -> Prepared:
    """Resolve the names and draw the networks; raises UserError."""
    found = entrants(request.names, request.runs)
    if request.n < 2:
        raise UserError(f"compare: -n {request.n}: a distribution takes at least two networks of each space")
    fresh = [one for one in found if one.space is not None]
    check_budget(fresh, request.budget)
    run = next((one.run for one in found if one.run is not None), None)
    if fresh or run is None:
        task, recipe = TaskConfig.of(load_task(request.task)), request.recipe
    else:  # nothing is trained: what the runs were trained on is what counts
        task, recipe = run.config.task, run.config.recipe
    check_trained_alike(found, task, recipe)
    draws = tuple(draw_from(one, request.budget, request.n, request.seed, task) for one in fresh)
    return Prepared(request, found, draws, task, recipe)


def about(prepared: Prepared) -> dict[str, Any]:
    """What a comparison's folder is of; `n` is not in it, so that a comparison can be extended."""
    request = prepared.request
    return {
        "command": "compare",
        "spaces": {draw.entrant.label: draw.entrant.space.source for draw in prepared.draws if draw.entrant.space},
        "budget": list(request.budget.text),
        "seed": request.seed,
        "task": prepared.task.name,
        "recipe": prepared.recipe.model_dump(mode="json"),
    }


def folder_of(prepared: Prepared) -> Path:
    """Where a comparison's networks are kept: the same one for the same comparison; raises UserError for another's."""
    request, asked = prepared.request, _plain(about(prepared))
    digest = sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    words = "-".join(("compare", *asked["spaces"], *request.budget.text))
    name = request.name or f"{re.sub(r'[^A-Za-z0-9.]+', '-', words)[:80].strip('-.').lower()}-{digest}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UserError(f"--name {name!r}: letters, digits, '.', '_' and '-' only, starting with a letter or digit")
    folder = request.runs / name
    if not (folder / BatchConfig.file).is_file():
        if folder.exists():
            raise UserError(f"--name {name}: {folder} is there and is no comparison; take another name")
        return folder
    held = _plain(BatchLedger.open(folder).config.about)
    changed = [key for key in asked if held.get(key) != asked[key]]
    if changed:
        raise UserError(f"--name {name}: {folder} is of another comparison ({', '.join(changed)} differ); take another")
    return folder


def _plain(data: Any) -> Any:
    """As it is after a file was written and read."""
    return json.loads(json.dumps(data, default=str))
