"""The check that exported files are their networks: all of a family's samples in one process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from archspace.blocks.registry import Family
from archspace.blueprint import draw
from archspace.closed_form import cost
from archspace.conformance.cases import CLASSES, INPUT, generator, genome_of
from archspace.errors import RunFailed, UserError
from archspace.export import Facts
from archspace.export.proof import Case, prove_all
from archspace.export.source import source_of
from archspace.genome import Genome, Survival
from archspace.network import build


def export(family: Family) -> Iterator[str]:
    """A file exported from any sample gives, without archspace, the network's keys, shapes and outputs bit by bit."""
    with tempfile.TemporaryDirectory(prefix="archspace-conformance-") as folder:
        cases: list[Case] = []
        proven: list[str] = []
        for name, genome in _genomes(family):
            try:
                cases.append(_case(genome, Path(folder) / f"n{len(cases)}.py"))
                proven.append(name)
            except UserError as error:
                yield f"{name}: {error}"
        for name, result in zip(proven, prove_all(cases) if cases else [], strict=True):
            if isinstance(result, RunFailed):
                yield f"{name}: {str(result).replace(folder, '').lstrip('/')}"


def _genomes(family: Family) -> Iterator[tuple[str, Genome]]:
    """Every sample, three blocks deep so that one repeats; a residual family's first with stochastic depth too."""
    for genes in family.sample_genes:
        yield str(genes), genome_of(family, genes, 3)
    first = family.sample_genes[0]
    for survival in (Survival(0.6), Survival(0.8, "uniform", "sample")) if family.residual else ():
        yield f"{first}, {survival}", genome_of(family, first, 3, survival)


def _case(genome: Genome, path: Path) -> Case:
    blueprint = draw(genome, INPUT, CLASSES)
    facts = Facts("conformance", genome, cost(blueprint))
    path.write_text(source_of(blueprint, facts), encoding="utf-8")
    return Case(path, None, build(blueprint, generator(0)), INPUT)
