"""What a batch will take before it starts, from a short measurement as `archspace plan` makes it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.records.config import BatchConfig
from archspace.records.ledger import BatchLedger
from archspace.searching.batch import BatchRequest, share_of, shared_modes
from archspace.searching.forecast import Length, timetable
from archspace.searching.pace import Network, error_of, pace_of, spread, stopwatches
from archspace.searching.queue import has_ended, latest


@dataclass(frozen=True)
class Foreseen:
    """`trainings` in all, of which `done` before; `seconds` of all that are left, and of one (the median).

    `concurrency` run side by side. `error` is the median size of predicted / measured - 1 of an epoch, None for few.
    """

    folder: str
    trainings: int
    done: int
    concurrency: int
    seconds: float
    one: float
    error: float | None


def foresee(request: BatchRequest, tell: Callable[[str], None]) -> Foreseen:
    """Train a few of the networks for some seconds, of which nothing stays; raises RunFailed where none can be."""
    asked, folder = request.trainings, request.folder
    ledger = BatchLedger.open(folder) if (folder / BatchConfig.file).is_file() else None
    known = latest(ledger) if ledger else {}
    left = [one for one in asked if one.name not in known or not has_ended(known[one.name])]
    share = share_of(request, ledger.config if ledger else None)
    if not left:
        return Foreseen(str(folder), len(asked), len(asked), share.concurrency, 0.0, 0.0, None)
    task, recipe = load_task(request.task), left[0].recipe
    networks = [Network(one.genome, cost_of(one.genome, task.input, task.classes)) for one in left]
    modes = shared_modes([one.genome for one in left], task, recipe, share.device, tell)
    with stopwatches(share, task.name, recipe, modes) as watches:
        chosen = spread(networks)
        tell(f"measuring up to {len(chosen)} networks, {len(watches.processes)} side by side: some seconds")
        measured = watches.calibrate(chosen)
    pace = pace_of(measured.measured)
    lengths = [Length(pace.building(one.cost), pace.epoch(one.cost)) for one in networks]
    return Foreseen(
        folder=str(folder),
        trainings=len(asked),
        done=len(asked) - len(left),
        concurrency=share.concurrency,
        seconds=measured.start + timetable(lengths, recipe.epochs, share.concurrency).seconds,
        one=statistics.median(length.before + recipe.epochs * length.epoch for length in lengths),
        error=error_of(measured.measured),
    )
