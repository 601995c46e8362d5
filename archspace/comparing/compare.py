"""A comparison from beginning to end: resolve, draw, train, read, analyse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archspace.analysis.comparison import Comparison
from archspace.analysis.comparison import compare as analyse
from archspace.comparing.drawn import Draw, training_name, trainings
from archspace.comparing.finished import COLUMNS, Taken, finished, taken
from archspace.comparing.prepare import CompareRequest, Prepared, about, folder_of, prepare
from archspace.genome import Shape, canonical_json
from archspace.records.config import TaskConfig
from archspace.searching.batch import BatchRequest, Executor, batch_frame, run_batch
from archspace.searching.queue import Listener
from archspace.training.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compared:
    """A comparison's result; `comparison` is None where it was interrupted before all networks were trained.

    `networks` is a table of all that count, see COLUMNS. Costs hold at `target`. `trained` of `asked` are done.
    """

    comparison: Comparison | None
    networks: pd.DataFrame | None
    notes: tuple[str, ...]
    target: tuple[Shape, int]
    task: TaskConfig
    recipe: Recipe
    request: CompareRequest
    folder: Path | None
    trained: int = 0
    asked: int = 0


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
        ended = run_batch(batch_of(prepared, folder), listener, executor, None, tell)
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


def batch_of(prepared: Prepared, folder: Path) -> BatchRequest:
    """The trainings of a comparison."""
    request = prepared.request
    return BatchRequest(
        folder=folder,
        task=prepared.task.name,
        trainings=trainings(prepared.draws, prepared.recipe, request.seed),
        seed=request.seed,
        concurrency=request.concurrency,
        gpus_per_trial=request.gpus_per_trial,
        about=about(prepared),
    )
