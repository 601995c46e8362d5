"""A comparison from beginning to end: resolve, draw, train, read, analyse."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspace.analysis.best_of import HALF_WIDTH, TOLERANCE
from archspace.analysis.comparison import Comparison
from archspace.analysis.comparison import compare as analyse
from archspace.comparing.drawn import Draw, check_budget, draw_from, training_name, trainings
from archspace.comparing.entrants import Entrant, check_trained_alike, entrants
from archspace.comparing.finished import COLUMNS, Taken, finished, taken
from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.genome import Shape, canonical_json
from archspace.searching.batch import BatchRequest, Executor, batch_frame, run_batch
from archspace.searching.queue import Listener
from archspace.space.budget import Budget
from archspace.training.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd


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
    task: Task
    recipe: Recipe


@dataclass(frozen=True)
class Compared:
    """A comparison's result; `comparison` is None where it was interrupted before all networks were trained.

    `networks` is a table of all that count, see COLUMNS. Costs hold at `target`. `trained` of `asked` are done.
    """

    comparison: Comparison | None
    networks: pd.DataFrame | None
    notes: tuple[str, ...]
    target: tuple[Shape, int]
    task: Task
    recipe: Recipe
    request: CompareRequest
    folder: Path | None
    trained: int = 0
    asked: int = 0


def prepare(request: CompareRequest) -> Prepared:
    """Resolve the names and draw the networks; raises UserError."""
    found = entrants(request.names, request.runs)
    if request.n < 2:
        raise UserError(f"compare: -n {request.n}: a distribution takes at least two networks of each space")
    fresh = [one for one in found if one.space is not None]
    check_budget(fresh, request.budget)
    run = next((one.run for one in found if one.run is not None), None)
    task, recipe = load_task(request.task), request.recipe
    if not fresh and run is not None:  # nothing is trained: what the runs were trained on is what counts
        task, recipe = load_task(run.config.task.name), run.config.recipe
    check_trained_alike(found, task, recipe)
    draws = tuple(draw_from(one, request.budget, request.n, request.seed, task) for one in fresh)
    return Prepared(request, found, draws, task, recipe)


def compare(
    request: CompareRequest,
    listener: Listener = lambda _: None,
    executor: Executor = "ray",
    tell: Callable[[str], None] = lambda _: None,
) -> Compared:
    """Carry out a comparison; the same one again goes on where it stopped. Raises UserError before anything is written.

    What has been trained is kept in a folder of `runs`; a larger `n` trains the further networks alone.
    """
    prepared = prepare(request)
    sides = {
        one.label: finished(one, request.budget, request.measure, request.everything)
        for one in prepared.entrants
        if one.run is not None
    }
    folder, trained, asked = None, 0, 0
    if prepared.draws:
        folder = folder_of(prepared)
        asked = sum(len(draw.candidates) for draw in prepared.draws)
        ended = run_batch(_batch(prepared, folder), listener, executor, None, tell)
        for name, reason in ended.failed.items():
            tell(f"{name} failed and counts as guessing; the same command tries it again: {reason}")
        trained = asked - ended.unfinished
        if not ended.unfinished:
            frame = batch_frame(folder)
            sides |= {draw.entrant.label: _trained(draw, frame, prepared) for draw in prepared.draws}
    return _compared(prepared, sides, folder, trained, asked)


def _compared(
    prepared: Prepared, sides: dict[str, Taken], folder: Path | None, trained: int, asked: int
) -> Compared:  # fmt: skip
    import pandas as pd

    request = prepared.request
    whole = trained == asked
    ordered: Sequence[Taken] = [sides[one.label] for one in prepared.entrants] if whole else ()
    return Compared(
        comparison=analyse(
            [side.sample for side in ordered],
            request.measure,
            request.seed,
            tolerance=request.tolerance,
            wanted=request.wanted,
        )
        if whole
        else None,
        networks=pd.concat([side.networks for side in ordered], ignore_index=True) if whole else None,
        notes=tuple(note for side in sides.values() for note in side.notes),
        target=prepared.entrants[0].target,
        task=prepared.task,
        recipe=prepared.recipe,
        request=request,
        folder=folder,
        trained=trained,
        asked=asked,
    )


def _trained(draw: Draw, frame: pd.DataFrame, prepared: Prepared) -> Taken:
    """What the batch has of a space's networks, costs at the space's target."""
    import pandas as pd

    known = frame.set_index("name")
    rows = []
    for one in draw.candidates:
        row = known.loc[training_name(draw, one)]
        costs = {figure: getattr(one.cost, figure) for figure in ("params", "macs", "flops", "acts")}
        told = {"id": one.genome.id, "genome": canonical_json(one.genome), "state": row["state"]}
        rows.append({"side": "", **told, "reason": row["reason"], "error": row["error"], **costs})
    networks = pd.DataFrame(rows, columns=COLUMNS)
    notes = list(draw.notes)
    failed = int((networks["state"] == "failed").sum())
    guessing = 1 - 1 / prepared.task.classes
    if failed:
        notes.append(f"{draw.entrant.label}: {failed} of {len(networks)} trainings failed and count as guessing")
    return taken(draw.entrant.label, networks, prepared.request.measure, guessing, tuple(notes))


def _batch(prepared: Prepared, folder: Path) -> BatchRequest:
    request = prepared.request
    return BatchRequest(
        folder=folder,
        task=prepared.task.name,
        trainings=trainings(prepared.draws, prepared.recipe, request.seed),
        seed=request.seed,
        concurrency=request.concurrency,
        gpus_per_trial=request.gpus_per_trial,
        about=_about(prepared),
    )


def _about(prepared: Prepared) -> dict[str, Any]:
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
    import json

    from archspace.records.config import BatchConfig
    from archspace.records.ledger import BatchLedger

    request, about = prepared.request, _about(prepared)
    digest = sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:8]
    words = "-".join(("compare", *about["spaces"], *request.budget.text))
    name = request.name or f"{re.sub(r'[^A-Za-z0-9.]+', '-', words)[:80].strip('-.').lower()}-{digest}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UserError(f"--name {name!r}: letters, digits, '.', '_' and '-' only, starting with a letter or digit")
    folder = request.runs / name
    if not (folder / BatchConfig.file).is_file():
        if folder.exists():
            raise UserError(f"--name {name}: {folder} is there and is no comparison; take another name")
        return folder
    held = json.loads(json.dumps(dict(BatchLedger.open(folder).config.about), default=str))
    asked = json.loads(json.dumps(about, default=str))
    changed = [key for key in asked if held.get(key) != asked[key]]
    if changed:
        raise UserError(f"--name {name}: {folder} is of another comparison ({', '.join(changed)} differ); take another")
    return folder
