"""`archspace plan`: what a search will take before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archspace.cli.output import print_json
from archspace.cli.request import named, request_options

if TYPE_CHECKING:
    from archspace.searching.forecast import Forecast, Spread
    from archspace.searching.needs import Needs
    from archspace.searching.plan import SearchPlan, Times

LABEL = 11
"""Columns of what a line is about."""


@click.command(short_help="What a search will take before it starts.")
@request_options
def plan(space: str, budget: tuple[str, ...], as_json: bool, **request: Any) -> None:
    """What a search with the same options will take before it starts: time, memory, share of a GPU.

    Trains a few networks within the budget for some seconds, as many side by side as the search will; nothing that is
    written stays.
    """
    show_plan(space, budget, as_json, **request)


def show_plan(space: str, budget: tuple[str, ...], as_json: bool, **request: Any) -> None:
    """Plan a search and print the plan."""
    from dataclasses import asdict

    from archspace import api

    asked = named(**request)
    made = api.plan_search(space, budget, told=lambda words: click.echo(words, err=True), **asked)
    if as_json:
        print_json(asdict(made))
    else:
        click.echo("\n".join(lines(made)))


def lines(plan: SearchPlan) -> list[str]:
    """A plan in words, within 100 columns."""
    from archspace.units import shape_text

    task, recipe = plan.task, plan.recipe
    epochs = f"{recipe['epochs']} epoch{'s' * (recipe['epochs'] > 1)}"
    rungs = " and ".join(str(rung) for rung in recipe["rungs"][:-1])
    halving = f"weak trials are stopped after epoch {rungs}" if rungs else "no trial is stopped early"
    return [
        f"plan of a search: space {plan.space}, budget {', '.join(plan.budget)}, seed {plan.seed}",
        f"costs at {shape_text(plan.input)}, {plan.classes} classes; "
        f"trials on {task['name']} at {shape_text(task['input'])}, {task['classes']} classes",
        *_row("machine", plan.machine),
        *_row("trials", f"{plan.trials}, {plan.concurrency} side by side on {plan.mode}"),
        *_row("recipe", f"{epochs} of {plan.steps} steps of {recipe['batch']} images", halving),
        *_times(plan.times, plan.trials),
        *_needs(plan.needs, plan.concurrency, plan.trials),
        *(line for warning in plan.warnings for line in _row("warning", warning)),
    ]


def _times(times: Times, trials: int) -> list[str]:
    from archspace.units import duration

    measured, search = times.measured, times.search
    error = "" if measured.error is None else f"each predicted from the others to {measured.error:.0%} (median)"
    side = f", {measured.side_by_side} side by side" if measured.side_by_side > 1 else ""
    half, none = duration(search.all_trials.half), duration(search.all_trials.none)
    rows = [
        *_row("measured", f"{len(measured.networks)} networks{side}, in {duration(measured.seconds)}", error),
        *_row("an epoch", _spread(times.epoch)),
        *_row("a trial", _spread(times.trial), f"of {times.networks} networks that it may train"),
        *_row(
            "all trials",
            f"{half} where half are stopped at each rung" if half != none else "",
            none if half == none else f"{none} where none is",
        ),
        *_row("ends", *_ending(search, times.limit, trials)),
        *_row(
            "start",
            f"{duration(measured.start)} for the first workers, counted above",
            "Ray itself, and report and export at the end, take some seconds more",
        ),
    ]
    if times.gpu_hours is not None:
        rows += _row("GPU hours", f"{times.gpu_hours.half:.2f} to {times.gpu_hours.none:.2f}")
    return rows


def _ending(search: Forecast, limit: float, trials: int) -> tuple[str, ...]:
    from archspace.units import duration

    until = f"the time limit of {duration(limit)}"
    if search.ends_by == "trials":
        return (f"with the last trial, before {until}",)
    least, most = sorted((int(search.finished.none), int(search.finished.half)))
    done = f"{least} to {most} of {trials} trials are done by then" if least < most else f"{most} of {trials} trials"
    return f"at {until}" if search.ends_by == "time" else f"with the last trial or at {until}", done


def _needs(needs: Needs, concurrency: int, trials: int) -> list[str]:
    from archspace.units import si

    memory, gpus, disk = needs.memory, needs.gpus, needs.disk
    other = "for context and workspaces" if gpus else "for its process"
    beside = "" if memory.beside is None else f" besides {si(memory.beside, 'B')} {other}"
    together = f"{gpus.trials if gpus else concurrency} side by side take at most {si(memory.together, 'B')}"
    free = "" if memory.free is None else f" of {si(memory.free, 'B')} free"
    rows = _row(
        "memory",
        f"{si(memory.median, 'B')} for a trial's tensors (median), at most {si(memory.largest, 'B')},{beside}",
        together + free + (" on a GPU" if gpus else ""),
    )
    if gpus:
        rows += _row(
            "GPUs",
            f"{gpus.number}; {gpus.per_trial:g} of one per trial, {gpus.trials} trials share one",
            f"by memory {gpus.by_memory.trials} fit on one, at a share of {gpus.by_memory.share:g}",
        )
    room = "" if disk.free is None else f" of {si(disk.free, 'B')} free"
    return [*rows, *_row("disk", f"checkpoints of {trials} trials: {si(disk.checkpoints, 'B')}{room}")]


def _spread(spread: Spread) -> str:
    from archspace.units import duration

    return f"{duration(spread.median)} (median), 9 in 10 from {duration(spread.low)} to {duration(spread.high)}"


def _row(label: str, *parts: str) -> list[str]:
    """What a line is about and its parts; those that find no room go to a next one."""
    import textwrap

    blank = " " * (LABEL + 1)
    return textwrap.wrap(
        "; ".join(filter(None, parts)), width=100, initial_indent=f"{label:<{LABEL}} ", subsequent_indent=blank
    )
