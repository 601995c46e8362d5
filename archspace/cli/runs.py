"""`archspace runs`, `show` and `report`: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archspace.cli.output import json_option, print_json, print_table, runs_option

if TYPE_CHECKING:
    from archspace.outcome import Outcome


@click.command()
@runs_option
@json_option
def runs(runs: str | None, as_json: bool) -> None:
    """List the runs."""
    from archspace.api import runs_folder
    from archspace.errors import UserError
    from archspace.outcome import read_outcome, summary
    from archspace.records.view import runs_in
    from archspace.units import percent

    folder = runs_folder(runs)
    data, rows, broken = [], [], 0
    for path in runs_in(folder):
        try:
            outcome = read_outcome(path)
        except UserError as error:
            click.echo("\n".join(error.messages), err=True)
            broken += 1
            continue
        told, config = summary(outcome), outcome.record.config
        data.append(told)
        best = percent(told["winner"]["error"]) if told["winner"] else "–"
        counts = (str(told["trials"]), str(told["complete"]), str(told["failed"]))
        rows.append((told["run"], config.created, config.space_name, ", ".join(config.budget), *counts, best))
    if as_json:
        print_json(data)
    elif rows:
        columns = ("run", "begun (UTC)", "space", "budget", "trials", "complete", "failed", "val error")
        print_table("", columns, rows, left=(0, 1, 2, 3))
    elif not broken:
        click.echo(f"no runs in {folder}; `archspace search` makes one", err=True)


@click.command()
@click.argument("run_or_genome")
@runs_option
@json_option
def show(run_or_genome: str, runs: str | None, as_json: bool) -> None:
    """A run's front and winner, or a genome and its cost."""
    from archspace.api import runs_folder
    from archspace.cli.cost import cost_data
    from archspace.closed_form import MEASURES
    from archspace.errors import UserError
    from archspace.files import is_file
    from archspace.genome import canonical_json, genome_data
    from archspace.lookup import find_genome
    from archspace.outcome import read_outcome, summary
    from archspace.report.describe import stage_lines
    from archspace.units import UNITS, shape_text, si

    folder = runs_folder(runs) / run_or_genome
    if is_file(folder / "run.yaml"):
        outcome = read_outcome(folder)
        if as_json:
            print_json(summary(outcome))
        else:
            print_outcome(outcome)
        return
    try:
        found = find_genome(run_or_genome, runs_folder(runs))
    except UserError as error:
        if ":" in run_or_genome or is_file(run_or_genome):
            raise
        raise UserError(f"no run {run_or_genome!r} in {runs_folder(runs)}", *error.messages) from None
    data = cost_data(found)
    if as_json:
        print_json(data | {"genome": genome_data(found.genome)})
        return
    figures = ", ".join(si(data[figure], UNITS[figure]) for figure in MEASURES)
    click.echo(f"{found.name}: genome {found.genome.id}, {data['layers']} layers")
    click.echo("\n".join(f"  {line}" for line in stage_lines(canonical_json(found.genome))))
    click.echo(f"  {figures} at {shape_text(found.input)}, {found.classes} classes")


@click.command()
@click.argument("run")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write it [report.html in the run].")
@click.option("--static", type=click.Path(file_okay=False), metavar="DIR", help="Also write figures as SVG and PNG.")
@runs_option
def report(run: str, output: str | None, static: str | None, runs: str | None) -> None:
    """Write the report of RUN: one HTML file with everything in it."""
    from archspace.api import runs_folder
    from archspace.errors import UserError
    from archspace.lookup import run_folder
    from archspace.outcome import REPORT
    from archspace.records.view import read_run
    from archspace.report.figures import save_figures
    from archspace.report.page import write_report

    if output and Path(output).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{output}: a report is written as .html; end the name in it")
    folder = run_folder(run, runs_folder(runs))
    record = read_run(folder)
    click.echo(str(write_report(record, Path(output) if output else folder / REPORT)))
    if static:
        for form in ("svg", "png"):
            for path in save_figures(record, Path(static), form):
                click.echo(str(path))


def print_outcome(outcome: Outcome) -> None:
    """The front as a table, where cost was counted, and where things are."""
    from archspace.measure.finalists import latency_text, read_finalists
    from archspace.report.describe import short
    from archspace.report.page import headline, where_line
    from archspace.units import UNITS, percent, si

    record = outcome.record
    click.echo(headline(record, outcome.winner))
    click.echo(where_line(record.config))
    if not outcome.front.empty:
        figures = tuple(dict.fromkeys((record.config.measure, "flops", "params")))
        measured = read_finalists(record.path) if record.config.latency else {}
        rows = [
            (
                str(trial["name"] or trial["id"]) + (" *" if trial["number"] == outcome.winner["number"] else ""),
                percent(float(trial["error"])),
                *(si(float(trial[figure]), UNITS[figure]) for figure in figures),
                *([latency_text(measured.get(str(trial["id"])))] if measured else []),
                short(str(trial["genome"])),
            )
            for _, trial in outcome.front.iterrows()
            if outcome.winner is not None
        ]
        columns = ("genome", "val error", *figures, *(["latency measured"] if measured else []))
        print_table("Front (* winner)", (*columns, "blocks, depths / widths"), rows, left=(0, len(columns)))
        for reason in dict.fromkeys(finalist.reason for finalist in measured.values() if finalist.reason):
            click.echo(f"latency not measured: {reason}")
    if outcome.winner is None:
        click.echo(f"`archspace resume {record.name}` goes on with it")
    click.echo(f"hypervolume {outcome.hypervolume:.3f} (error x nats)")
    for what, path in (("report", outcome.report), ("source", outcome.source)):
        if path is not None:
            click.echo(f"{what}: {path}")
