"""`archspace space` and `archspace sample`: what a design space holds."""

from __future__ import annotations

import click

from archspace.cli.output import json_option, print_json, print_table

space_option = click.option(
    "--space", required=True, metavar="FILE|NAME", help="A space file, or a shipped space: resnext, overview, ..."
)
BUDGET_HELP = "4GFLOPs, 600MFLOPs, 4GMACs, 25Mparams; ±2% or +-2% behind it for a band; several at once."


@click.command(short_help="Validate and describe a design space.")
@click.argument("space")
@click.option("--budget", multiple=True, metavar="BUDGET", help=BUDGET_HELP)
@click.option("--seed", default=0, show_default=True, help="Seed of the random genomes looked at.")
@json_option
def space(space: str, budget: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Validate and describe a design space: SPACE is a file or the name of a shipped one."""
    from archspace.space.budget import parse_budget
    from archspace.space.describe import describe, lines
    from archspace.space.file import load_space

    described = describe(load_space(space), parse_budget(budget) if budget else None, seed)
    if as_json:
        print_json(described)
    else:
        click.echo("\n".join(lines(described)))


@click.command(short_help="Genomes within a budget and their costs.")
@space_option
@click.option("--budget", multiple=True, required=True, metavar="BUDGET", help=BUDGET_HELP)
@click.option("-n", "n", type=click.IntRange(min=1), default=10, show_default=True, help="How many genomes.")
@click.option("--seed", default=0, show_default=True, help="Seed of the draws.")
@json_option
def sample(space: str, budget: tuple[str, ...], n: int, seed: int, as_json: bool) -> None:
    """Distinct genomes within a budget and their costs, without training."""
    from archspace.api import load_space
    from archspace.api import sample as draw_sample
    from archspace.genome import canonical_json, genome_data
    from archspace.report.describe import short
    from archspace.space.space import FAMILY
    from archspace.units import UNITS, shape_text, si

    found = load_space(space)
    drawn = draw_sample(found, budget, n, seed)
    figures = ("params", "macs", "flops", "acts")
    if as_json:
        print_json(
            [
                {"id": item.genome.id, "genome": genome_data(item.genome)}
                | {figure: getattr(item.cost, figure) for figure in figures}
                for item in drawn
            ]
        )
    else:
        title = f"{len(drawn)} genomes of {found.name}, costed at {shape_text(found.input)}, {found.classes} classes"
        rows = [
            (
                item.genome.id,
                f"{item.values[FAMILY]}: " * (FAMILY in item.values) + short(canonical_json(item.genome)),
                *(si(getattr(item.cost, figure), UNITS[figure]) for figure in figures),
            )
            for item in drawn
        ]
        print_table(title, ("genome", "blocks, depths / widths", *figures), rows, left=(0, 1))
    if len(drawn) < n:
        click.echo(f"only {len(drawn)} distinct genomes turned up within {', '.join(budget)}", err=True)
