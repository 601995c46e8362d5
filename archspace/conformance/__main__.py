"""`python -m archspace.conformance NAME...`: what was checked of block families, and what is wrong with them."""

from __future__ import annotations

import sys

import click
import torch

from archspace.blocks.registry import Family, family
from archspace.conformance.suite import checks
from archspace.errors import GenomeError


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def main(names: tuple[str, ...]) -> None:
    """Check block families by their names: exit code 0 all promises hold, 1 some do not, 2 there is no such block."""
    try:
        kinds = [family(name) for name in names]
    except GenomeError as error:
        raise click.UsageError(str(error)) from None
    torch.set_num_threads(1)  # the networks are too small to share among threads
    found = sum(_checked(kind) for kind in kinds)
    click.echo(f"{found} problem{'s' if found != 1 else ''}")
    sys.exit(1 if found else 0)


def _checked(kind: Family) -> int:
    """Print every check of a family with its problems; how many there are."""
    click.echo(f"{kind.name}: {len(kind.sample_genes)} sample genes, defined in {kind.lay_out.__module__}")
    found = 0
    for check in checks():
        problems = check.problems(kind)
        click.echo(f"  {'wrong' if problems else 'holds'}  {check.name}: {check.promise}")
        for problem in problems:
            click.echo(f"         - {problem}")
        found += len(problems)
    return found


if __name__ == "__main__":
    main()
