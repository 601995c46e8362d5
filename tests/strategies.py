"""Random genomes that can be drawn, over every registered block family, and inputs that fit them."""

from dataclasses import replace
from typing import Any, get_args

from hypothesis import assume, reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes, Form
from archspace.blocks.dense import DenseGenes
from archspace.blocks.highway import HighwayGenes
from archspace.blocks.inception import InceptionGenes
from archspace.blocks.plain import PlainGenes
from archspace.blocks.registry import Family, families
from archspace.blueprint import Blueprint
from archspace.blueprint import draw as draw_blueprint
from archspace.closed_form import cost
from archspace.errors import GenomeError
from archspace.genome import Auxiliary, Genome, Head, Shape, Stage, Stem, Survival
from archspace.parts.ordering import OPEN, Order

STEMS = ("imagenet", "cifar", "bare", "regnet", "googlenet", "alexnet", "none")
LARGEST = 64
"""Pixels to which `blueprints` doubles an input that is too small."""


@st.composite
def genomes(
    draw: DrawFn, max_stages: int = 4, max_depth: int = 4, max_width: int = 64, names: tuple[str, ...] | None = None
) -> Genome:
    """Genomes of 1 to `max_stages` stages of the families called `names`, or of all registered ones.

    Widths are at least 4, and may exceed `max_width` only where a family's genes ask for 64.
    """
    kinds = [kind for name, kind in sorted(families().items()) if names is None or name in names]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=max_stages))
    stem = draw(_stems(max_width, chosen[0].sees_image))
    genome: Genome | None = None
    for kind in chosen:
        width = draw(st.integers(4, max_width))
        sees_image = genome is None and stem.kind == "none"
        stage = Stage(
            block=kind.name,
            depth=draw(st.integers(1, max_depth)),
            width=None if kind.growth else width,
            stride=1 if sees_image else draw(st.sampled_from([1, 2])),
            genes=draw(_genes(kind, width)),
        )
        genome = _extended(genome, stem, stage)
    assert genome is not None
    genome = replace(genome, head=draw(_heads()), auxiliary=draw(_auxiliaries(len(chosen))))
    if any(kind.residual for kind in chosen):
        genome = replace(genome, survival=draw(_survivals()))
    return _initialised(genome, draw(st.sampled_from(["auto", "he", "he-zero-last-norm"])))


@st.composite
def blueprints(
    draw: DrawFn, inputs: SearchStrategy[Shape], classes: SearchStrategy[int], **limits: Any
) -> tuple[Genome, Blueprint]:
    """Genomes drawn for one of `inputs`, its sides doubled as long as they are too small, up to LARGEST."""
    genome = draw(genomes(**limits))
    channels, height, width = draw(inputs)
    number = draw(classes)
    while max(height, width) <= LARGEST:
        blueprint = draw_blueprint(genome, (channels, height, width), number)
        try:
            cost(blueprint)
            return genome, blueprint
        except GenomeError as error:
            if "too small" not in str(error):
                raise
            height, width = 2 * height, 2 * width
    return reject()


def _extended(genome: Genome | None, stem: Stem, stage: Stage) -> Genome:
    """The genome with a further stage, as wide as it can be drawn: shortcut A cannot narrow, say."""
    before = genome.stages if genome else ()
    in_width = draw_blueprint(genome).stages[-1].width if genome else stem.width
    for width in (None,) if stage.width is None else (stage.width, in_width, 64):
        extended = Genome((*before, replace(stage, width=width)), stem)
        try:
            draw_blueprint(extended)
            return extended
        except GenomeError:
            continue
    return reject()


def _initialised(genome: Genome, how: Any) -> Genome:
    """The genome with this initialisation, or the default one where it has no norm to begin at zero."""
    try:
        draw_blueprint(replace(genome, initialisation=how))
        return replace(genome, initialisation=how)
    except GenomeError:
        assert how == "he-zero-last-norm"
        return genome


@st.composite
def _stems(draw: DrawFn, max_width: int, may_be_none: bool) -> Stem:
    kind: Any = draw(st.sampled_from(STEMS if may_be_none else STEMS[:-1]))
    return Stem("none") if kind == "none" else Stem(kind, draw(st.integers(4, max_width)))


@st.composite
def _heads(draw: DrawFn) -> Head:
    dropout = draw(st.sampled_from([0.0, 0.5]))
    if draw(st.booleans()):
        return Head("average", dropout)
    return Head("mlp", dropout, draw(st.integers(2, 8)), draw(st.integers(1, 3)), draw(st.sampled_from([2, 3])))


@st.composite
def _auxiliaries(draw: DrawFn, stages: int) -> Auxiliary:
    if stages == 1 or draw(st.booleans()):
        return Auxiliary()
    return Auxiliary((draw(st.integers(1, stages - 1)),), 0.3)


@st.composite
def _genes(draw: DrawFn, kind: Family, width: int) -> Any:
    """One of the family's own samples; for the built-in families, any legal setting that fits `width` as well."""
    if kind.genes in SETTINGS:
        return draw(SETTINGS[kind.genes](width))
    return draw(st.sampled_from(kind.sample_genes))


@st.composite
def _basic(draw: DrawFn, _: int) -> BasicGenes:
    order = draw(_orders())
    dropout = draw(st.sampled_from([0.0, 0.3])) if order == "full-preactivation" else 0.0
    return BasicGenes(draw(_shortcuts()), order, dropout)


@st.composite
def _bottleneck(draw: DrawFn, _: int) -> BottleneckGenes:
    """At most one of: a form that writes its paths out, squeeze-and-excitation, an order with an open branch."""
    group_width, cardinality = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    shortcut, stride_on = draw(_shortcuts()), draw(st.sampled_from(["3x3", "1x1"]))
    genes = BottleneckGenes(group_width, cardinality, shortcut, stride_on)
    what = draw(st.sampled_from(["order", "form", "squeeze"]))
    if what == "order":
        return replace(genes, order=draw(_orders()))
    genes = replace(genes, order=draw(st.sampled_from([order for order in get_args(Order) if order not in OPEN])))
    if what == "squeeze":
        return replace(genes, squeeze=draw(st.sampled_from([0.1, 0.25, 1.5])))
    assume(cardinality > 1)
    return replace(genes, form=draw(st.sampled_from(get_args(Form))))


@st.composite
def _plain(draw: DrawFn, _: int) -> PlainGenes:
    norm: Any = draw(st.sampled_from(["batch", "batch-and-bias", "none"]))
    downsample: Any = draw(st.sampled_from(["conv", "pool2", "pool3"]))
    return PlainGenes(draw(st.sampled_from([1, 3, 5])), norm, downsample)


@st.composite
def _inception(draw: DrawFn, width: int) -> InceptionGenes:
    reduced, some = st.integers(1, 6), st.integers(1, max(1, width // 4))
    return InceptionGenes(
        reduce_small=draw(reduced),
        small=draw(some),
        reduce_large=draw(reduced),
        large=draw(some),
        project=draw(some),
        kernel=draw(st.sampled_from([3, 5])),
        downsample=draw(st.sampled_from(["pool3", "pool2"])),
    )


@st.composite
def _highway(draw: DrawFn, _: int) -> HighwayGenes:
    gates: Any = draw(st.sampled_from(["coupled", "uncoupled"]))
    return HighwayGenes(draw(st.sampled_from([1, 2])), draw(st.sampled_from([-1.0, -2.5])), gates)


@st.composite
def _dense(draw: DrawFn, _: int) -> DenseGenes:
    layer: Any = draw(st.sampled_from(["bottleneck", "basic"]))
    genes = DenseGenes(
        growth_rate=draw(st.integers(1, 12)),
        layer=layer,
        compression=draw(st.sampled_from([0.3, 0.5, 0.77, 1.0])),
        memory=draw(st.sampled_from(["usual", "frugal"])),
    )
    return replace(genes, bottleneck=draw(st.integers(1, 4))) if layer == "bottleneck" else genes


SETTINGS: dict[type, Any] = {
    BasicGenes: _basic,
    BottleneckGenes: _bottleneck,
    PlainGenes: _plain,
    InceptionGenes: _inception,
    HighwayGenes: _highway,
    DenseGenes: _dense,
}


def _shortcuts() -> SearchStrategy[Any]:
    return st.sampled_from(["A", "B", "C"])


def _orders() -> SearchStrategy[Any]:
    return st.sampled_from(get_args(Order))


@st.composite
def _survivals(draw: DrawFn) -> Survival:
    return Survival(
        last=draw(st.sampled_from([1.0, 0.8, 0.5, 0.123])),
        decay=draw(st.sampled_from(["linear", "uniform"])),
        mode=draw(st.sampled_from(["batch", "sample"])),
    )
