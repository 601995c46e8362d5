"""`archspace export`: hands a network over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archspace.cli.output import runs_option

if TYPE_CHECKING:
    from archspace.export import Exported


@click.command(short_help="Hand a network over as source or weights.")
@click.argument("run_or_genome", metavar="RUN|FOLDER|GENOME")
@click.option(
    "--format", "form", type=click.Choice(["python", "safetensors"]), default="python", show_default=True,
    help="python: one source file, with its weights beside it where it was trained; safetensors: the weights alone.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write it [NAME.py in this folder].")
@runs_option
def export(run_or_genome: str, form: str, output: str | None, runs: str | None) -> None:
    """Export a run's winner, a genome of a run (RUN:ID) or what was trained in FOLDER, or a GENOME without weights.

    What is written is first proven equal to the network in a process that cannot import archspace.
    """
    from archspace.api import runs_folder
    from archspace.errors import UserError
    from archspace.files import is_file
    from archspace.outcome import export_trial, read_outcome
    from archspace.records.view import read_run
    from archspace.trained import export_trained

    folder = runs_folder(runs)
    run, colon, identifier = run_or_genome.partition(":")
    ending = ".py" if form == "python" else ".safetensors"
    done: Exported
    if is_file(folder / run_or_genome / "run.yaml"):
        outcome = read_outcome(folder / run_or_genome)
        if outcome.winner is None:
            raise UserError(f"run {run_or_genome!r} has no winner yet: no trial has finished the top rung")
        done = export_trial(
            outcome.record, outcome.winner, form, Path(output or f"{Path(run_or_genome).name}-winner{ending}")
        )
    elif colon and is_file(folder / run / "run.yaml"):
        record = read_run(folder / run)
        chosen = record.trials[(record.trials["id"] == identifier) | (record.trials["name"] == identifier)]
        if not identifier or chosen.empty:
            raise UserError(f"run {run!r} has no genome {identifier!r}; `archspace show {run}` lists its front")
        done = export_trial(record, chosen.iloc[-1], form, Path(output or f"{Path(run).name}-{identifier}{ending}"))
    elif is_file(Path(run_or_genome) / "training.yaml"):
        name = Path(run_or_genome).resolve().name
        done = export_trained(Path(run_or_genome), form, Path(output or f"{name}{ending}"))
    else:
        done = _untrained(run_or_genome, folder, form, output, ending)
    for path in done.paths:
        click.echo(str(path))
    proof = f"{done.proof.keys} tensors, {done.proof.params:,} params, equal outputs"
    click.echo(f"proven in a process without archspace: {proof}", err=True)


def _untrained(reference: str, folder: Path, form: str, output: str | None, ending: str) -> Exported:
    from archspace.blueprint import draw
    from archspace.closed_form import cost_of
    from archspace.errors import UserError
    from archspace.export import FORMATS, Facts
    from archspace.lookup import find_genome
    from archspace.searching.machine import versions

    found = find_genome(reference, folder)
    if form != "python":
        raise UserError(f"{reference}: an untrained genome has no weights to export; use --format python")
    target = cost_of(found.genome, found.input, found.classes)
    facts = Facts(found.name, found.genome, target, versions=versions())
    blueprint = draw(found.genome, found.input, found.classes)
    return FORMATS[form](blueprint, None, facts, Path(output or f"{found.name}{ending}"))
