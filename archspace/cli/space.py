"""`archspace space` and `archspace sample`: what a design space holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archspace.cli.output import SEED, json_option, print_json, print_table

if TYPE_CHECKING:
    from archspace.space.budget import Limit

space_option = click.option(
    "--space", required=True, metavar="FILE|NAME", help="A space file, or a shipped space: resnext, overview, ..."
)
BUDGET_HELP = (
    "4GFLOPs, 600MFLOPs, 4GMACs, 25Mparams, 8GiB (training memory), 5ms (latency); "
    "±2% or +-2% behind it for a band; several at once."
)
batch_option = click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Images a step, for training memory."
)
calibration_option = click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False),
    help="What predicts latency: a file of `profile --calibrate` [this device's own].",
)


@click.command(short_help="Validate and describe a design space.")
@click.argument("space")
@click.option("--budget", multiple=True, metavar="BUDGET", help=BUDGET_HELP)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the settings that are drawn.")
@batch_option
@calibration_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the spread of costs and the genes that drive it: .html, .svg or .png.",
)
@json_option
def space(
    space: str,
    budget: tuple[str, ...],
    seed: int,
    batch: int,
    calibration: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Validate and describe a design space: SPACE is a file or the name of a shipped one.

    Tells how many genomes it has, what they cost, how many keep the budget, and which genes drive cost. Spaces of up to
    two million settings are gone through as a whole; of larger ones settings are drawn uniformly over the genes.
    """
    from archspace.report.save import check_suffix, save_figure

    if output is not None:
        check_suffix(output)
    from archspace.api import budget_of, load_space
    from archspace.space.describe import describe, lines

    found, limits = load_space(space), budget_of(budget, batch, calibration) if budget else None
    described = describe(found, limits, seed)
    if as_json:
        print_json(described)
    else:
        click.echo("\n".join(lines(described)))
    for limit in limits.limits if limits else ():
        if limit.predicted is not None or limit.batch:
            click.echo(where_it_holds(limit), err=True)
    if output is not None:
        from archspace.report.space_figure import space_figure

        save_figure(space_figure(described), output, found.name)
        click.echo(f"written to {output}", err=True)


@click.command(short_help="Genomes within a budget and their costs.")
@space_option
@click.option("--budget", multiple=True, required=True, metavar="BUDGET", help=BUDGET_HELP)
@click.option("-n", "n", type=click.IntRange(min=1), default=10, show_default=True, help="How many genomes.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the draws.")
@batch_option
@calibration_option
@json_option
def sample(
    space: str, budget: tuple[str, ...], n: int, seed: int, batch: int, calibration: str | None, as_json: bool
) -> None:
    """Distinct genomes within a budget and their costs, without training.

    Widths and depths are solved for the budget. The other genes are drawn uniformly among their settings that have a
    solution, then one of the solutions; in the logarithm, where the space says so.
    """
    from archspace.api import budget_of, load_space
    from archspace.genome import canonical_json, genome_data
    from archspace.report.describe import short
    from archspace.space.sampler import sampled
    from archspace.space.space import FAMILY
    from archspace.units import UNITS, shape_text, si

    found, limits = load_space(space), budget_of(budget, batch, calibration)
    result = sampled(found, limits, n, seed)
    drawn = result.candidates
    figures = ("params", "macs", "flops", "acts")
    limited = {limit.measure: limit for limit in limits.limits if limit.measure not in figures}
    if as_json:
        print_json(
            [
                {"id": item.genome.id, "genome": genome_data(item.genome)}
                | {figure: getattr(item.cost, figure) for figure in figures}
                | {measure: limit.of(item.cost) for measure, limit in limited.items()}
                for item in drawn
            ]
        )
    else:
        title = f"{len(drawn)} genomes of {found.name}, costed at {shape_text(found.input)}, {found.classes} classes"
        rows = [
            (
                item.genome.id,
                (f"{item.values[FAMILY]}: " if FAMILY in item.values else "") + short(canonical_json(item.genome)),
                *(si(getattr(item.cost, figure), UNITS[figure]) for figure in figures),
                *(si(limit.of(item.cost), UNITS[measure]) for measure, limit in limited.items()),
            )
            for item in drawn
        ]
        words = [measure.replace("_", " ") for measure in limited]
        print_table(title, ("genome", "blocks, depths / widths", *figures, *words), rows, left=(0, 1))
        for limit in limited.values():
            click.echo(where_it_holds(limit), err=True)
    if len(drawn) < n:
        told = (
            "these are all genomes there are" if result.whole else "more may exist, but none turned up in 1,000 draws"
        )
        click.echo(f"only {len(drawn)} distinct genomes within {', '.join(budget)}: {told}", err=True)


def where_it_holds(limit: Limit) -> str:
    """Under which conditions a limit's measure holds that is not the network's alone."""
    if limit.predicted is None:
        return f"training memory: predicted for steps of {limit.batch} images in float32"
    law = limit.predicted
    setting = (
        f"{law.device}, {law.threads} thread{'s' * (law.threads > 1)}, batch {law.batch}, {law.dtype}, {law.layout}"
    )
    return f"latency: predicted for {law.machine} ({setting})"
