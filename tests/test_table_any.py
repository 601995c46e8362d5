"""Costs of tables of any network's neighbours: whatever blocks, stems and heads it has, rows cost what they cost."""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import genomes
from tables import differences, one_by_one, random_rows, traced

from archspace.genome import Genome, Stage
from archspace.space import costing
from archspace.space.budget import Budget
from archspace.space.space import Gene, Slot, Slots, Space


def space_around(draw: st.DrawFn, genome: Genome) -> Space:
    """A space that holds a genome: some of its numbers are genes, which may not fit together."""
    genes: list[Gene] = []

    def slot(name: str, value: Any) -> Slot:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or draw(st.booleans()):
            return Slot(value)
        near = (value - 1, value + 1, 2 * value) if isinstance(value, int) else (value / 2, value / 3, 0.25)
        others = [other for other in draw(st.lists(st.sampled_from(near), max_size=3)) if other > 0]
        genes.append(Gene(name, tuple(sorted({value, *others}))))
        return Slot(gene=name)

    def slots(name: str, part: Any, *left_out: str) -> Slots:
        names = [item.name for item in dataclasses.fields(part) if item.name not in left_out]
        return {key: slot(f"{name}.{key}", getattr(part, key)) for key in names}

    def stage(name: str, part: Stage) -> Slots:
        left_out = ("genes",) if part.width is not None else ("genes", "width")
        return {**slots(name, part, *left_out), **slots(name, part.genes)}

    stages = tuple(stage(f"stage{number}", part) for number, part in enumerate(genome.stages))
    stem, head = slots("stem", genome.stem), slots("head", genome.head)
    survival, auxiliary = slots("survival", genome.survival), slots("auxiliary", genome.auxiliary)
    channels, side = draw(st.integers(1, 3)), draw(st.sampled_from([7, 16, 33, 64]))
    return Space(
        name="around",
        about="",
        input=(channels, side, side + draw(st.integers(0, 3))),
        classes=5,
        genes=tuple(genes),
        stages=stages,
        stem=stem,
        head=head,
        survival=survival,
        auxiliary=auxiliary,
        initialisation=Slot(genome.initialisation),
        limits=Budget(),
        source={},
    )


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    return space_around(draw, draw(genomes(max_stages=3, max_depth=3, max_width=32)))


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=25, deadline=None, suppress_health_check=CHECKS)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_rows_around_any_genome_cost_what_they_cost(monkeypatch: pytest.MonkeyPatch, space: Space, seed: int) -> None:
    monkeypatch.setattr(costing, "FEW", 8)  # so that a small table does not go row by row
    rows = random_rows(space, 60, seed)
    found, ends = traced(space, rows)
    assert differences(rows, found, one_by_one(space, rows)) == []
    assert not any(end.one_by_one for end in ends)
