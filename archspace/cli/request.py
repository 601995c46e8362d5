"""What a search is asked for: the options that `archspace search` and `archspace plan` share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from archspace.cli.options import (
    changed_recipe,
    recipe_option,
    settings_option,
    task_option,
    task_options_option,
    whole_task,
)
from archspace.cli.output import SEED, json_option, runs_option
from archspace.cli.space import BUDGET_HELP, calibration_option, space_option

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


_REQUEST: tuple[Callable[[Command], Command], ...] = (
    space_option,
    click.option("--budget", multiple=True, required=True, metavar="BUDGET", help=BUDGET_HELP),
    task_option,
    task_options_option,
    click.option("--trials", type=click.IntRange(min=1), help="Genomes to try [8 for each worker]."),
    click.option("--time", "seconds", callback=seconds_of, metavar="TIME", help="Stop after 90s, 30m, 1h30m [6m]."),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of everything random."),
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


def request_options(command: Command) -> Command:
    """The options of a search but for its name and where it runs."""
    for option in reversed(_REQUEST):
        command = option(command)
    return command


def named(
    task: str, task_options: tuple[str, ...], recipe: str, settings: tuple[str, ...], **rest: Any
) -> dict[str, Any]:
    """A request as Python takes it: the task with its options, the recipe with its settings; raises UserError."""
    return {"task": whole_task(task, task_options), "recipe": changed_recipe(recipe, settings)} | rest
