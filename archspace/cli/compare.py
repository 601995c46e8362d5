"""`archspace compare`: design spaces against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archspace.cli.options import recipe_option, settings_option, task_option, task_options_option
from archspace.cli.output import INTERRUPTED, SEED, json_option, print_json, print_table, runs_option
from archspace.cli.request import named
from archspace.cli.space import BUDGET_HELP, calibration_option

if TYPE_CHECKING:
    from archspace.comparing.compare import Compared
    from archspace.comparing.prepare import CompareRequest
    from archspace.searching.foresee import Foreseen

MEASURES = ("flops", "macs", "params", "acts")


@click.command(short_help="Design spaces or runs against each other.")
@click.argument("names", nargs=-1, metavar="SPACE|RUN SPACE|RUN ...")
@click.option("--budget", multiple=True, metavar="BUDGET", help=f"[none] {BUDGET_HELP}")
@click.option("-n", "n", default=20, show_default=True, help="Networks of each space, two or more.")
@task_option
@task_options_option
@recipe_option
@settings_option
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of draws, trainings and resampling.")
@click.option(
    "--measure",
    type=click.Choice(MEASURES),
    default="flops",
    show_default=True,
    help="What is held equal.",
)
@click.option("--all", "everything", is_flag=True, help="Take all trials of runs, though they are no random sample.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    help="Points of error that further networks must bring to be worth it.",
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Trainings side by side [one per core, or as GPUs allow]."
)
@click.option("--gpus-per-trial", type=click.FloatRange(min=0), help="GPU share of one training [0.25].")
@calibration_option
@click.option("--name", help="Folder of the trainings [made of spaces and budget].")
@runs_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a page with the figures (.html).",
)
@click.option(
    "--static",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write figures as SVG and PNG.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained and how long it takes, and end.")
@json_option
def compare(output: Path | None, static: Path | None, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Compare design spaces by networks drawn from them at random, each trained once.

    SPACE is a file or a shipped space, RUN a finished run. Prints which has better networks at equal cost, with the
    tests, and whether more networks are worth it. The same command goes on after Ctrl-C; a larger -n adds networks.
    """
    from archspace.cli.bar import Bar
    from archspace.cli.trainings import Trainings
    from archspace.comparing.compare import compare as carry_out

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise click.BadParameter(f"{output}: the page is HTML; end its name in .html", param_hint="-o")
    request = _request(**asked)
    if dry_run:
        _dry_run(request, as_json)
        return
    with Bar() as bar:
        compared = carry_out(request, Trainings(bar), tell=bar.tell)
    if compared.comparison is None:
        click.echo(f"interrupted; {compared.trained} of {compared.asked} trained; the same command goes on", err=True)
        click.get_current_context().exit(INTERRUPTED)
    _write(compared, output, static)  # first: the reader of stdout may go away
    _print(compared, as_json)


def _request(
    names: tuple[str, ...],
    budget: tuple[str, ...],
    calibration: str | None,
    runs: str | None,
    tolerance: float,
    **rest: Any,
) -> CompareRequest:
    from archspace.api import budget_of, runs_folder
    from archspace.comparing.prepare import CompareRequest
    from archspace.space.budget import Budget

    made = named(**rest)
    return CompareRequest(
        names=names,
        budget=budget_of(budget, made["recipe"].batch, calibration) if budget else Budget(),
        runs=runs_folder(runs),
        tolerance=tolerance / 100,
        **made,
    )


def _dry_run(request: CompareRequest, as_json: bool) -> None:
    from dataclasses import asdict

    from archspace.comparing.compare import batch_of
    from archspace.comparing.prepare import folder_of, prepare
    from archspace.searching.foresee import Foreseen, foresee

    prepared = prepare(request)
    if not prepared.draws:
        click.echo("nothing is to be trained: only finished runs are compared", err=True)
        if as_json:
            print_json(asdict(Foreseen("", 0, 0, 0, 0.0, 0.0, None)))
        return
    for draw in prepared.draws:
        for note in draw.notes:
            click.echo(note, err=True)
    foreseen = foresee(batch_of(prepared, folder_of(prepared)), lambda words: click.echo(words, err=True))
    if as_json:
        print_json(asdict(foreseen))
    else:
        click.echo("\n".join(_lines(foreseen)))


def _lines(foreseen: Foreseen) -> list[str]:
    from archspace.units import duration

    left = foreseen.trainings - foreseen.done
    before = f", {foreseen.done} of them done before" if foreseen.done else ""
    lines = [f"{foreseen.trainings} trainings in {foreseen.folder}{before}; {foreseen.concurrency} side by side"]
    if left:
        error = "" if foreseen.error is None else f"; predicted to {foreseen.error:.0%} (median)"
        lines.append(f"{duration(foreseen.seconds)} for the {left} left, {duration(foreseen.one)} each (median){error}")
    return lines


def _print(compared: Compared, as_json: bool) -> None:
    from archspace.analysis.comparison_words import advice, verdicts
    from archspace.comparing.told import data, where_line
    from archspace.report.comparison_page import sides_table, tests_table

    if as_json:
        print_json(data(compared))
        return
    comparison = compared.comparison
    assert comparison is not None
    click.echo("\n".join(verdicts(comparison)))
    click.echo(where_line(compared))
    for note in compared.notes:
        click.echo(note)
    print_table("", *sides_table(comparison))
    if comparison.pairs:
        print_table("Differences: the second less the first; above 0 the first is better", *tests_table(comparison))
    click.echo("\n".join(advice(side) for side in comparison.sides))
    if compared.folder is not None:
        click.echo(f"networks: {compared.folder}")


def _write(compared: Compared, output: Path | None, static: Path | None) -> None:
    from archspace.comparing.told import shown
    from archspace.report.comparison_data import comparison_data
    from archspace.report.comparison_figures import save_comparison_figures
    from archspace.report.comparison_page import write_comparison

    page = shown(compared)
    if output is not None:
        click.echo(f"written to {write_comparison(page, output)}", err=True)
    if static is not None:
        data = comparison_data(page.comparison, page.networks)
        for form in ("svg", "png"):
            for path in save_comparison_figures(data, page.target, static, form):
                click.echo(f"written to {path}", err=True)
