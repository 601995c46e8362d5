"""`archspace study`: design questions put to the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from archspace.cli.output import INTERRUPTED, json_option, print_json, runs_option
from archspace.cli.request import seconds_of

study_argument = click.argument("study", metavar="STUDY", type=click.Path(path_type=Path))
scale_option = click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), help="Anchors, times this [file's]."
)


@click.group(short_help="Put a design question to the test.")
def study() -> None:
    """Pre-registered comparisons: arms change the same base genomes, at the same cost, and are compared in pairs.

    STUDY is a study.yaml or the folder that it lies in.
    """


@study.command(short_help="Run a study, or go on with it.")
@study_argument
@scale_option
@click.option("--time", "seconds", callback=seconds_of, metavar="TIME", help="Stop after 90s, 30m, 1h30m [no limit].")
@click.option("--concurrency", type=click.IntRange(min=1), help="Trainings side by side [one per core].")
@click.option("--gpus-per-trial", type=click.FloatRange(min=0), help="GPU share of one training [0.25].")
@click.option("--address", metavar="ADDRESS", help="Join the Ray cluster there; its workers must see the runs folder.")
@runs_option
@json_option
def run(study: Path, scale: float | None, runs: str | None, as_json: bool, **machine: Any) -> None:
    """Train every arm of every anchor and leave results/ beside the study's file.

    Rates are tuned first, on val; the test split is looked at once by each final training. Ctrl-C ends it cleanly; the
    same command goes on.
    """
    from archspace.cli.bar import Bar
    from archspace.cli.trainings import Trainings
    from archspace.lookup import runs_folder
    from archspace.study.file import load_study
    from archspace.study.run import Machine, run_study

    loaded = load_study(study, scale)
    with Bar() as bar:
        bar.tell(f"study {loaded.name}, registered as {loaded.registered[:12]}: {loaded.file.question}")
        ended = run_study(loaded, runs_folder(runs), Machine(**machine), Trainings(bar), bar.tell)
    if ended.results is None:
        left = f"{ended.unfinished} trainings are left in {ended.folder}; the same command goes on"
        click.echo(f"interrupted: {left}" if ended.interrupted else f"time is up: {left}", err=True)
        if as_json:
            print_json({"study": loaded.name, "registered": loaded.registered, "unfinished": ended.unfinished})
        click.get_current_context().exit(INTERRUPTED if ended.interrupted else 0)
    show(study, scale, as_json, study_page(loaded.folder), None)


@study.command(short_help="What a study will take and can tell, before it starts.")
@study_argument
@scale_option
@click.option("--pilot", type=click.Path(path_type=Path), metavar="STUDY", help="A study with results: its variance.")
@click.option("--quick", is_flag=True, help="Measure nothing: no time is told.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Trainings side by side [one per core].")
@click.option("--gpus-per-trial", type=click.FloatRange(min=0), help="GPU share of one training [0.25].")
@runs_option
@json_option
def plan(
    study: Path, scale: float | None, pilot: Path | None, quick: bool, runs: str | None, as_json: bool, **share: Any
) -> None:
    """Draw and match the anchors, and say how long the study takes and how many anchors it needs.

    Trains a few networks for some seconds, of which nothing stays. With --pilot the power is that for the pilot's
    variance.
    """
    from dataclasses import asdict

    from archspace.lookup import runs_folder
    from archspace.study.file import load_study
    from archspace.study.plan import plan_lines, plan_study
    from archspace.study.results import read_results, scale_of

    loaded, before = load_study(study, scale), None
    if pilot is not None:
        known = load_study(pilot, scale_of(pilot if pilot.is_dir() else pilot.parent))
        before = (known, read_results(known))
    made, design = plan_study(
        loaded,
        runs_folder(runs),
        before,
        measured=not quick,
        tell=lambda words: click.echo(words, err=True),
        **share,
    )
    if as_json:
        print_json(asdict(made))
    else:
        click.echo("\n".join(plan_lines(loaded, made, design)))


@study.command(short_help="What a study found.")
@study_argument
@scale_option
@click.option("-o", "output", type=click.Path(path_type=Path), help="The report [results/report.html].")
@click.option("--static", type=click.Path(path_type=Path), metavar="DIR", help="Also write figures as SVG.")
@json_option
def report(study: Path, scale: float | None, output: Path | None, static: Path | None, as_json: bool) -> None:
    """Judge the results beside the study's file and write the report; nothing is trained."""
    show(study, scale, as_json, output, static)


def study_page(folder: Path) -> Path:
    """Where a study's report is written."""
    return folder / "results" / "report.html"


def show(study: Path, scale: float | None, as_json: bool, output: Path | None, static: Path | None) -> None:
    """Judge what a study measured, write its report, print its verdicts."""
    from archspace.study.file import load_study
    from archspace.study.findings import findings_of, lines, summary
    from archspace.study.page import write_page, write_pictures
    from archspace.study.results import read_results

    loaded = load_study(study, scale)
    results = read_results(loaded)
    findings = findings_of(loaded, results)
    if as_json:
        print_json(summary(loaded, results, findings))
    else:
        click.echo("\n".join(lines(loaded, results, findings)))
    page = output or study_page(loaded.folder)
    write_page(loaded, results, findings, page)
    click.echo(f"report: {page}", err=True)
    if static is not None:
        write_pictures(loaded, results, findings, static)
