"""Blueprints: a genome drawn for one input size and number of classes, every integer resolved exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import NamedTuple

from archspace.blocks.registry import Family, family, family_of
from archspace.errors import GenomeError
from archspace.genome import Auxiliary, Genome, Probabilities, Shape, Stage
from archspace.parts.head import plan_head
from archspace.parts.shortcut import PADDED_IDENTITY
from archspace.parts.stem import plan_stem
from archspace.parts.survival import SURVIVAL
from archspace.plan import Part, Planned, Symbol
from archspace.unknown import possibly


@dataclass(frozen=True)
class Widths:
    """What the blocks of a growing stage see: `first` channels, and `growth` more with each of `count` blocks."""

    first: int
    growth: int
    count: int

    def __getitem__(self, index: int) -> int:
        return self.first + index * self.growth

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    @property
    def numbers(self) -> range:
        """All of them."""
        return range(self.first, self[self.count], self.growth)


@dataclass(frozen=True)
class Run:
    """`count` blocks in a row, equal but for the one `symbol` (if any) that takes `values`, first to last."""

    plan: Planned
    count: int
    symbol: str = ""
    values: Widths | Probabilities | None = None

    def block(self, index: int) -> Planned:
        """The plan of one block, the first is 0."""
        return self.plan if self.values is None else self.plan.bind(**{self.symbol: self.values[index]})

    def blocks(self) -> Iterator[Planned]:
        """The plan of each block."""
        return (self.block(index) for index in range(self.count))


class StagePlan(NamedTuple):
    """A stage: what stands before its blocks, the blocks, what stands behind them.

    `width` are the channels that leave it; `block` is the family's name; `container` holds the blocks (nn.Sequential
    if None).
    """

    block: str
    depth: int
    width: int
    runs: tuple[Run, ...]
    entry: Planned | None = None
    exit: Planned | None = None
    container: Part | None = None

    def plans(self) -> Iterator[Planned]:
        """The plans in use, each once, in order."""
        yield from (plan for plan in (self.entry, *(run.plan for run in self.runs), self.exit) if plan is not None)


@dataclass(frozen=True)
class Blueprint:
    """What cost, network and source all read; `asked` is the genome's initialisation.

    `in_channels` stays a symbol in the stem (in the first stage where there is none), `num_classes` in the head.
    """

    input: Shape
    classes: int
    stem: Planned | None
    stages: tuple[StagePlan, ...]
    head: Planned
    asked: str
    auxiliary: Auxiliary

    @cached_property
    def initialisation(self) -> str:
        """How weights start: as the genome asks, with `auto` decided."""
        if self.asked != "auto":
            return self.asked
        return "he-zero-last-norm" if self.has_last_norms and not self.pads_channels else "he"

    @cached_property
    def has_last_norms(self) -> bool:
        """Whether some residual branch ends in a normalisation, which can begin at zero."""
        return any(_ends_in_norm(branch) for branch in self._arguments("branch"))

    @cached_property
    def pads_channels(self) -> bool:
        """Whether some shortcut adds channels of zeros, which carry nothing while the branch beside it is zero too."""
        shortcuts = (one for one in self._arguments("shortcut") if one.part is PADDED_IDENTITY)
        return any(one.arguments["width"] != one.arguments["in_width"] for one in shortcuts)

    def _arguments(self, named: str) -> Iterator[Planned]:
        """What the blocks in use are given under a name."""
        plans = (plan for stage in self.stages for plan in stage.plans())
        values = (value for plan in plans for name, value in plan.arguments.items() if name == named)
        yield from (value for value in values if isinstance(value, Planned))


def draw(genome: Genome, input: Shape = (3, 224, 224), classes: int = 1000) -> Blueprint:
    """The blueprint of `genome` for inputs of (channels, height, width); raises GenomeError with the stage at fault."""
    check_target(input, classes)
    stages = _draw_stages(genome)
    width = stages[-1].width
    blueprint = Blueprint(
        input=input,
        classes=classes,
        stem=plan_stem(genome.stem, Symbol("in_channels")),
        stages=stages,
        head=plan_head(genome.head, width, Symbol("num_classes")),
        asked=genome.initialisation,
        auxiliary=genome.auxiliary,
    )
    if genome.initialisation == "he-zero-last-norm" and not blueprint.has_last_norms:
        raise GenomeError("initialisation he-zero-last-norm: no branch here ends in a normalisation; use he or auto")
    return blueprint


def check_target(input: Shape, classes: int) -> None:
    """Refuse what no network can have; raises GenomeError."""
    if min(input) < 1:
        raise GenomeError(f"input {input}: channels, height and width must be at least 1")
    if classes < 2:
        raise GenomeError(f"classes must be at least 2, not {classes}")


def _draw_stages(genome: Genome) -> tuple[StagePlan, ...]:
    stages: list[StagePlan] = []
    width = genome.stem.width
    kinds = tuple(map(family_of, count(1), genome.stages))
    kept, before = probabilities(genome, kinds), 0
    for number, (kind, stage) in enumerate(zip(kinds, genome.stages, strict=True), start=1):
        following = genome.stages[number] if number < len(genome.stages) else None
        ps = kept.part(before, stage.depth) if kept is not None and kind.residual else None
        before = before + stage.depth if kind.residual else before
        try:
            drawn = draw_stage(kind, stage, None if number == 1 and genome.stem.kind == "none" else width, ps)
            stages.append(drawn._replace(exit=closing(kind, stage, drawn.width, following)))
        except GenomeError as error:
            raise GenomeError(f"stage {number}: {error}") from None
        width = drawn.width
    return tuple(stages)


def probabilities(genome: Genome, kinds: Sequence[Family]) -> Probabilities | None:
    """Survival of every block that has a branch to skip, first to last; None where none is ever skipped."""
    if genome.survival.last == 1.0:
        return None
    depths = [stage.depth for stage, kind in zip(genome.stages, kinds, strict=True) if kind.residual]
    if not depths:
        names = ", ".join(dict.fromkeys(repr(stage.block) for stage in genome.stages))
        raise GenomeError(f"stage 1: block {names} has no branch to skip: survival must be 1")
    return genome.survival.probabilities(sum(depths))


def draw_stage(kind: Family, stage: Stage, in_width: int | None, ps: Probabilities | None) -> StagePlan:
    """A stage that sees `in_width` channels, or the image; without what closes it. Raises GenomeError."""
    if in_width is None:
        return _draw_on_image(kind, stage)
    entry = kind.enter(stage.genes, in_width, stage.width, stage.stride)
    if kind.growth:
        return _draw_growing(kind, kind.growth(stage.genes), stage, entry.width, entry.planned)
    survive: Callable[[Planned], Planned] = _always
    if ps is not None:
        part = SURVIVAL[ps.survival.mode]
        survive = lambda branch: part(branch=branch, p=Symbol("p"))  # noqa: E731
    assert stage.width is not None
    changes = bool(entry.stride != 1 or entry.width != stage.width)
    first = kind.lay_out(stage.genes, entry.width if changes else stage.width, stage.width, entry.stride, survive)
    steady = first
    if changes and possibly(stage.depth > 1):
        steady = kind.lay_out(stage.genes, stage.width, stage.width, 1, survive)
    return StagePlan(
        block=stage.block,
        depth=stage.depth,
        width=stage.width,
        runs=_runs(first, steady, stage.depth, ps),
        entry=entry.planned,
        container=kind.container,
    )


def _draw_growing(kind: Family, growth: int, stage: Stage, in_width: int, entry: Planned | None) -> StagePlan:
    """A stage whose block l sees in_width + (l - 1) x growth channels."""
    layer = kind.lay_out(stage.genes, Symbol("in_width"), growth, 1, _always)  # type: ignore[arg-type]
    seen = Widths(in_width, growth, stage.depth)
    run = Run(layer, stage.depth, "in_width", seen)
    return StagePlan(stage.block, stage.depth, seen[stage.depth], (run,), entry, container=kind.container)


def _draw_on_image(kind: Family, stage: Stage) -> StagePlan:
    """The first stage of a network without a stem: its input's channels stay a symbol."""
    if not kind.sees_image or stage.stride > 1:
        raise GenomeError(f"block {stage.block!r} with stride {stage.stride} needs a stem; stem.kind is none")
    assert stage.width is not None
    channels: int = Symbol("in_channels")  # type: ignore[assignment]  # passed on unread
    first = kind.lay_out(stage.genes, channels, stage.width, 1, _always)
    steady = kind.lay_out(stage.genes, stage.width, stage.width, 1, _always)
    return StagePlan(stage.block, stage.depth, stage.width, _runs(first, steady, stage.depth, None))


def closing(kind: Family, stage: Stage, width: int, following: Stage | None) -> Planned | None:
    """What `close` plans behind a stage, unless the next stage begins with an activation of its own."""
    planned = kind.close(stage.genes, width)
    if planned is None or (following and family(following.block).close(following.genes, width) is not None):
        return None
    return planned


def _runs(first: Planned, steady: Planned, depth: int, ps: Probabilities | None) -> tuple[Run, ...]:
    """The blocks, grouped as far as one plan builds them."""
    if first is steady:
        return (_run(steady, depth, ps),)
    begun = _run(first, 1, ps and ps.part(0, 1))
    if possibly(depth > 1):
        return begun, _run(steady, depth - 1, ps and ps.part(1, depth - 1))
    return (begun,)


def _run(plan: Planned, count: int, ps: Probabilities | None) -> Run:
    if ps is None:
        return Run(plan, count)
    alike = ps.survival.decay == "uniform" or not possibly(count != 1)
    return Run(plan.bind(p=ps[0]), count) if alike else Run(plan, count, "p", ps)


def _ends_in_norm(branch: Planned) -> bool:
    if getattr(branch.part.module, "ends_in_relu", False):  # a norm at zero before a ReLU would never learn
        return False
    inner = [value for value in branch.arguments.values() if isinstance(value, Planned)]
    return branch.part.ends_in_norm or (bool(inner) and _ends_in_norm(inner[-1]))


def _always(branch: Planned) -> Planned:
    return branch
