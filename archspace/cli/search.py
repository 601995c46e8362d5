"""`archspace search` and `archspace resume`: the main job."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from archspace.cli.options import (
    changed_recipe,
    recipe_option,
    settings_option,
    task_option,
    task_options_option,
    whole_task,
)
from archspace.cli.output import json_option, print_json, runs_option
from archspace.cli.space import BUDGET_HELP, calibration_option, space_option

if TYPE_CHECKING:
    from archspace.outcome import Outcome

INTERRUPTED = 130
Command = Callable[..., None]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """Seconds of 90s, 30m, 1h30m or 2d; raises a usage error."""
    if text is None:
        return None
    pieces = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text.lower())
    total = sum(float(number) * UNITS[unit] for number, unit in pieces)
    if "".join(number + unit for number, unit in pieces) != text.lower() or not total:
        raise click.BadParameter(f"{text!r} is no time; write 90s, 30m or 1h30m")
    return total


def more_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    """The N of +N; raises a usage error."""
    if text is None:
        return 0
    if not re.fullmatch(r"\+\d+", text) or not int(text):
        raise click.BadParameter(f"{text!r}: write +8 for eight more trials")
    return int(text)


def request_options(command: Command) -> Command:
    """What a search is asked for, but for its name and where it runs: the options of `search` and `plan` alike."""
    for option in reversed(_REQUEST):
        command = option(command)
    return command


_REQUEST: tuple[Callable[[Command], Command], ...] = (
    space_option,
    click.option("--budget", multiple=True, required=True, metavar="BUDGET", help=BUDGET_HELP),
    task_option,
    task_options_option,
    click.option("--trials", type=click.IntRange(min=1), help="Genomes to try [8 for each worker]."),
    click.option("--time", "seconds", callback=seconds_of, metavar="TIME", help="Stop after 90s, 30m, 1h30m [6m]."),
    click.option("--seed", default=0, show_default=True, help="Seed of everything random."),
    click.option("--enqueue", multiple=True, metavar="GENOME", help="A genome to try first; may be repeated."),
    click.option(
        "--concurrency", type=click.IntRange(min=1), help="Trials side by side [one per core, or as GPUs allow]."
    ),
    click.option("--gpus-per-trial", type=click.FloatRange(min=0), help="GPU share of one trial [0.25]."),
    calibration_option,
    recipe_option,
    settings_option,
    runs_option,
    json_option,
)


def named(
    task: str, task_options: tuple[str, ...], recipe: str, settings: tuple[str, ...], **rest: Any
) -> dict[str, Any]:
    """A request as Python takes it: the task with its options, the recipe with its settings; raises UserError."""
    return {"task": whole_task(task, task_options), "recipe": changed_recipe(recipe, settings)} | rest


@click.command()
@request_options
@click.option("--name", help="Name of the run [made of space and budget].")
@click.option("--address", metavar="ADDRESS", help="Join the Ray cluster there; its workers must see the runs folder.")
@click.option("--dry-run", is_flag=True, help="Say what it will take, as `archspace plan` does, and end.")
def search(
    space: str,
    budget: tuple[str, ...],
    address: str | None,
    dry_run: bool,
    as_json: bool,
    **request: Any,
) -> None:
    """Search a design space within a budget: the main job.

    Leaves a folder in ./runs with the front, a report and the winner as a source file. Ctrl-C ends it cleanly;
    `archspace resume NAME` goes on, also after a crash.
    """
    from archspace import api
    from archspace.cli.plan import show_plan
    from archspace.cli.progress import Display

    if dry_run:
        show_plan(space, budget, as_json, **request)
        if address:
            click.echo("times and memory are those of this machine, not of the cluster", err=True)
        return
    asked = named(**request)
    with Display() as display:
        outcome = api.search(
            space,
            budget,
            address=address,
            progress=display.update,
            told=display.tell,
            **asked,
        )
    _finish(outcome, as_json)


@click.command(short_help="Go on with a run after a stop or a crash.")
@click.argument("run")
@click.option("--trials", "more", callback=more_of, metavar="+N", help="Extend the run by N trials.")
@click.option("--time", "seconds", callback=seconds_of, metavar="TIME", help="Stop this long from now [as the run's].")
@click.option("--address", metavar="ADDRESS", help="Join the Ray cluster there.")
@runs_option
@json_option
def resume(run: str, more: int, seconds: float | None, address: str | None, runs: str | None, as_json: bool) -> None:
    """Go on with RUN after a stop or a crash; what is finished is not repeated."""
    from archspace import api
    from archspace.cli.progress import Display

    with Display() as display:
        outcome = api.resume(
            run,
            more_trials=more,
            seconds=seconds,
            runs=runs,
            address=address,
            progress=display.update,
            told=display.tell,
        )
    _finish(outcome, as_json)


def _finish(outcome: Outcome, as_json: bool) -> None:
    from archspace.cli.runs import print_outcome
    from archspace.outcome import summary

    if as_json:
        print_json(summary(outcome))
    else:
        print_outcome(outcome)
    if outcome.interrupted:
        click.echo(f"interrupted; `archspace resume {outcome.record.name}` goes on", err=True)
        click.get_current_context().exit(INTERRUPTED)
