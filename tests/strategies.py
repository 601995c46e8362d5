"""Random genomes that can be drawn, over every registered block family."""

from dataclasses import replace
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from archspace.blocks.registry import Family, families
from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blueprint import draw as draw_blueprint
from archspace.errors import GenomeError
from archspace.genome import Genome, Stage, Stem, Survival


@st.composite
def genomes(
    draw: DrawFn, max_stages: int = 4, max_depth: int = 4, max_width: int = 64, names: tuple[str, ...] | None = None
) -> Genome:
    """Genomes of 1 to `max_stages` stages of the families called `names`, or of all registered ones.

    Widths are at least 4, and may exceed `max_width` only where a family's genes ask for 64.
    """
    kinds = [kind for name, kind in sorted(families().items()) if names is None or name in names]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=max_stages))
    genome: Genome | None = None
    stem = Stem(draw(st.sampled_from(["imagenet", "cifar"])), draw(st.integers(4, max_width)))
    for kind in chosen:
        genome = _extended(
            genome,
            stem,
            Stage(
                block=kind.name,
                depth=draw(st.integers(1, max_depth)),
                width=draw(st.integers(4, max_width)),
                stride=draw(st.sampled_from([1, 2])),
                genes=draw(_genes(kind)),
            ),
        )
    assert genome is not None
    survival = draw(_survivals()) if all(kind.residual for kind in chosen) else Survival()
    return replace(genome, survival=survival, initialisation=draw(_initialisations()))


def _extended(genome: Genome | None, stem: Stem, stage: Stage) -> Genome:
    """The genome with a further stage, as wide as it can be drawn: shortcut A cannot narrow, say."""
    before = genome.stages if genome else ()
    in_width = before[-1].width if before else stem.width
    for width in (stage.width, in_width, 64):
        extended = Genome((*before, replace(stage, width=width)), stem)
        try:
            draw_blueprint(extended)
            return extended
        except GenomeError:
            continue
    return reject()


@st.composite
def _genes(draw: DrawFn, kind: Family) -> Any:
    """One of the family's own samples; for the built-in families, any legal setting as well."""
    if kind.genes is BasicGenes:
        return BasicGenes(draw(_shortcuts()))
    if kind.genes is BottleneckGenes:
        return BottleneckGenes(
            group_width=draw(st.integers(1, 8)),
            cardinality=draw(st.integers(1, 8)),
            shortcut=draw(_shortcuts()),
            stride_on=draw(st.sampled_from(["3x3", "1x1"])),
        )
    return draw(st.sampled_from(kind.sample_genes))


def _shortcuts() -> SearchStrategy[Any]:
    return st.sampled_from(["A", "B", "C"])


def _initialisations() -> SearchStrategy[Any]:
    return st.sampled_from(["he", "he-zero-last-norm"])


@st.composite
def _survivals(draw: DrawFn) -> Survival:
    return Survival(
        last=draw(st.sampled_from([1.0, 0.8, 0.5, 0.123])),
        decay=draw(st.sampled_from(["linear", "uniform"])),
        mode=draw(st.sampled_from(["batch", "sample"])),
    )
