"""archspace from Python: the functions that the command line calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspace.closed_form import Cost, cost_of
from archspace.genome import Genome, Shape
from archspace.lookup import TARGET, Found, find_genome, run_folder
from archspace.lookup import runs_folder as runs_folder
from archspace.space.budget import BATCH, Budget, Conditions, Latency, parse_budget
from archspace.space.file import load_space
from archspace.space.sampler import Candidate
from archspace.space.sampler import sample as _sample
from archspace.space.space import Space
from archspace.space.table import FIGURES
from archspace.space.table import costs as _costs

if TYPE_CHECKING:
    import pandas as pd

    from archspace.network import Network
    from archspace.outcome import Outcome
    from archspace.records.record import RunRecord
    from archspace.searching.plan import SearchPlan
    from archspace.searching.run import Executor, Request
    from archspace.searching.searcher import Searcher
    from archspace.training.recipe import Recipe

__all__ = [
    "build",
    "cost",
    "costs",
    "load_genome",
    "load_space",
    "open_run",
    "plan_search",
    "resume",
    "sample",
    "search",
]

Progress = Callable[["Searcher"], None]


def load_genome(reference: str, runs: str | Path | None = None) -> Genome:
    """The genome of a zoo name, a YAML or JSON file, or `RUN:ID`; raises UserError."""
    return find_genome(reference, runs_folder(runs)).genome


def cost(genome: Genome | str, input: Shape | None = None, classes: int | None = None) -> Cost:
    """Params, macs, flops, acts and layers of a genome at `input` (channels, height, width); raises UserError.

    Where these are not given they are the published ones of a zoo name, else 3x224x224 and 1000 classes.
    """
    found = find_genome(genome, runs_folder()) if isinstance(genome, str) else Found(genome, "", *TARGET)
    return cost_of(found.genome, input or found.input, classes or found.classes)


def build(genome: Genome | str, input: Shape | None = None, classes: int | None = None, seed: int = 0) -> Network:
    """The network of a genome, with weights drawn from `seed`; input and classes as for `cost`; raises UserError."""
    import torch

    from archspace.blueprint import draw
    from archspace.network import build as build_blueprint

    found = find_genome(genome, runs_folder()) if isinstance(genome, str) else Found(genome, "", *TARGET)
    blueprint = draw(found.genome, input or found.input, classes or found.classes)
    return build_blueprint(blueprint, torch.Generator().manual_seed(seed))


def sample(
    space: Space | str | Path,
    budget: Budget | str | Iterable[str],
    n: int,
    seed: int = 0,
    *,
    batch: int = BATCH,
    calibration: str | Path | None = None,
) -> list[Candidate]:
    """`n` distinct genomes of a space within a budget, fewer where there are no more; raises UserError.

    Each with its cost at the space's target. A budget in bytes holds for a training step of `batch` images, one in
    seconds for the latency that `calibration` predicts, this device's own if None.
    """
    return _sample(_space(space), budget_of(budget, batch, calibration), n, seed)


def costs(space: Space | str | Path, table: Mapping[str, Any], figures: Sequence[str] = FIGURES) -> pd.DataFrame:
    """What many genomes cost at once: one for each row of `table`, whose columns are genes; see space.table."""
    return _costs(_space(space), table, figures)


def search(
    space: Space | str | Path,
    budget: Budget | str | Iterable[str],
    *,
    task: str = "digits",
    trials: int | None = None,
    seconds: float | None = None,
    name: str | None = None,
    runs: str | Path | None = None,
    seed: int = 0,
    enqueue: Iterable[str | Genome] = (),
    concurrency: int | None = None,
    gpus_per_trial: float | None = None,
    recipe: Recipe | None = None,
    calibration: str | Path | None = None,
    address: str | None = None,
    executor: Executor = "ray",
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Outcome:
    """Search a space within a budget: the front, the winner's source and the report, all in the run's folder.

    What is None fits the machine. `enqueue` names genomes to try first. A budget in seconds holds for the latency that
    `calibration` predicts, this device's own if None. `progress` is called with the searcher at every epoch, `told`
    with words on what follows the trials. Raises UserError before anything is written, RunFailed where the winner's
    export cannot be proven.
    """
    from archspace.outcome import finish
    from archspace.searching.run import start

    request = _request(
        space,
        budget,
        runs,
        enqueue,
        recipe,
        calibration,
        task=task,
        trials=trials,
        seconds=seconds,
        name=name,
        seed=seed,
        concurrency=concurrency,
        gpus_per_trial=gpus_per_trial,
    )
    ended = start(request, progress or _silent, executor, address, told or (lambda _: None))
    return finish(ended.folder, ended.interrupted, told)


def plan_search(
    space: Space | str | Path,
    budget: Budget | str | Iterable[str],
    *,
    task: str = "digits",
    trials: int | None = None,
    seconds: float | None = None,
    name: str | None = None,
    runs: str | Path | None = None,
    seed: int = 0,
    enqueue: Iterable[str | Genome] = (),
    concurrency: int | None = None,
    gpus_per_trial: float | None = None,
    recipe: Recipe | None = None,
    calibration: str | Path | None = None,
    told: Callable[[str], None] | None = None,
) -> SearchPlan:
    """What `search` with the same arguments would do and take, in seconds and bytes, before it starts.

    A few networks are trained for some seconds; nothing that is written stays. `told` is called with words on what
    goes on. Raises UserError as `search` does, RunFailed where no network could be trained.
    """
    from archspace.searching.plan import plan

    request = _request(
        space,
        budget,
        runs,
        enqueue,
        recipe,
        calibration,
        task=task,
        trials=trials,
        seconds=seconds,
        name=name,
        seed=seed,
        concurrency=concurrency,
        gpus_per_trial=gpus_per_trial,
    )
    return plan(request, told or _unheard)


def resume(
    name: str,
    *,
    more_trials: int = 0,
    seconds: float | None = None,
    runs: str | Path | None = None,
    address: str | None = None,
    executor: Executor = "ray",
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Outcome:
    """Go on with a run after a stop or a crash, or extend it by `more_trials`; raises UserError and RunFailed."""
    from archspace.outcome import finish
    from archspace.searching.run import resume as resume_run

    ended = resume_run(
        run_folder(name, runs_folder(runs)), progress or _silent, more_trials, seconds, executor, address
    )
    return finish(ended.folder, ended.interrupted, told)


def open_run(name: str, runs: str | Path | None = None) -> RunRecord:
    """A run as tables: `trials` and `curves` are DataFrames; raises UserError where there is none."""
    from archspace.records.view import read_run

    return read_run(run_folder(name, runs_folder(runs)))


def _space(space: Space | str | Path) -> Space:
    return space if isinstance(space, Space) else load_space(space)


def budget_of(
    budget: Budget | str | Iterable[str], batch: int = BATCH, calibration: str | Path | None = None
) -> Budget:
    """The budget that is spelled; raises BudgetError, and UserError where a latency is limited and none known."""
    if isinstance(budget, Budget):
        return budget

    def latency() -> Latency:
        from archspace.calibrate import known_latency

        return known_latency(calibration)

    return parse_budget([budget] if isinstance(budget, str) else budget, Conditions(batch, latency))


def _request(
    space: Space | str | Path,
    budget: Budget | str | Iterable[str],
    runs: str | Path | None,
    enqueue: Iterable[str | Genome],
    recipe: Recipe | None,
    calibration: str | Path | None,
    **rest: Any,
) -> Request:
    """A request of what is given as text or left out; `rest` as it is."""
    from archspace.searching.run import Request
    from archspace.training.recipe import Recipe

    folder, recipe = runs_folder(runs), recipe or Recipe()
    return Request(
        space=_space(space),
        budget=budget_of(budget, recipe.batch, calibration),
        recipe=recipe,
        runs=folder,
        enqueue=tuple(_named(item, folder) for item in enqueue),
        **rest,
    )


def _named(genome: str | Genome, runs: Path) -> tuple[str, Genome]:
    if isinstance(genome, Genome):
        return genome.id, genome
    found = find_genome(genome, runs)
    return found.name, found.genome


def _silent(searcher: Searcher) -> None:
    """No progress shown."""


def _unheard(words: str) -> None:
    """Nothing said."""
