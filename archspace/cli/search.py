"""`archspace search` and `archspace resume`: the main job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from archspace.cli.output import INTERRUPTED, json_option, print_json, runs_option
from archspace.cli.plan import show_plan
from archspace.cli.request import named, request_options, seconds_of

if TYPE_CHECKING:
    from archspace.outcome import Outcome


def more_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    """The N of +N; raises a usage error."""
    if text is None:
        return 0
    if not re.fullmatch(r"\+\d+", text) or not int(text):
        raise click.BadParameter(f"{text!r}: write +8 for eight more trials")
    return int(text)


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
