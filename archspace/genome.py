"""Genomes: frozen descriptions of networks with canonical JSON and an id that never changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from archspace.errors import GenomeError
from archspace.unknown import Whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Shape = tuple[int, int, int]
"""Channels, height, width of one input."""

MOST_BLOCKS = 100_000
"""Blocks in a stage; more is a slip of the keyboard."""


def require_positive(genes: object, *names: str) -> None:
    """Refuse genes that are not whole numbers of at least 1; raises GenomeError."""
    for name in names:
        value = getattr(genes, name)
        if not isinstance(value, (int, Whole)) or isinstance(value, bool) or value < 1:
            raise GenomeError(f"{name} must be a whole number of at least 1, not {value!r}")


def refuse_unused(genes: object, where: str, unused: bool, why: str, *names: str) -> None:
    """Refuse genes that differ from their default although nothing would read them; raises GenomeError."""
    for item in dataclasses.fields(genes):  # type: ignore[arg-type]  # callers are dataclasses
        if unused and item.name in names and getattr(genes, item.name) != item.default:
            raise GenomeError(f"{where}.{item.name}: {why} {item.name}; leave it out")


def require_share(name: str, value: float) -> None:
    """Refuse what is not a probability below 1; raises GenomeError."""
    if not 0.0 <= value < 1.0:
        raise GenomeError(f"{name} must be at least 0 and below 1, not {value!r}")


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one family with `width` output channels; the stage's first layers have its stride.

    `width` is None where it follows from the genes (dense blocks: what enters + depth x growth rate).
    """

    block: str
    depth: int
    width: int | None
    stride: int
    genes: DataclassInstance

    def __post_init__(self) -> None:
        require_positive(self, "depth", "stride", *(("width",) if self.width is not None else ()))
        if self.depth > MOST_BLOCKS:
            raise GenomeError(f"depth must be at most {MOST_BLOCKS}, not {self.depth}")


@dataclass(frozen=True)
class Stem:
    """The layers before the first stage.

    `imagenet`: 7x7 stride 2, 3x3 max-pool stride 2. `cifar`: 3x3. `bare`: 3x3 without normalisation and ReLU, before
    blocks that begin with their own. `regnet`: 3x3 stride 2. `googlenet`: 7x7 stride 2. `alexnet`: 11x11 stride 4, with
    bias instead of normalisation. `none`: the first stage sees the image itself (VGG); it has no width.
    """

    kind: Literal["imagenet", "cifar", "bare", "regnet", "googlenet", "alexnet", "none"] = "imagenet"
    width: int = 64

    def __post_init__(self) -> None:
        require_positive(self, "width")
        refuse_unused(self, "stem", self.kind == "none", f"kind {self.kind} has no", "width")


@dataclass(frozen=True)
class Head:
    """The layers after the last stage, ending in a linear classifier.

    `average`: global average pooling. `mlp`: max-pooling (`pool` x `pool`, stride 2), adaptive average pooling to
    `grid` x `grid`, two hidden linear layers of `hidden` units. `dropout` is the probability that a unit before a
    linear layer is zeroed while training.
    """

    kind: Literal["average", "mlp"] = "average"
    dropout: float = 0.0
    hidden: int = 4096
    grid: int = 7
    pool: int = 2

    def __post_init__(self) -> None:
        require_positive(self, "hidden", "grid")
        require_share("head.dropout", self.dropout)
        if self.pool not in (2, 3):
            raise GenomeError(f"head.pool must be 2 or 3, not {self.pool}")
        refuse_unused(self, "head", self.kind != "mlp", f"kind {self.kind} has no", "hidden", "grid", "pool")


@dataclass(frozen=True)
class Auxiliary:
    """Training alone: classifiers behind the stages numbered in `after`, whose losses count `weight` times.

    Average pooling and a linear layer each (after Szegedy et al. 2015, 1409.4842, Section 5). Not counted in cost, not
    exported.
    """

    after: tuple[int, ...] = ()
    weight: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", tuple(self.after))
        if list(self.after) != sorted(set(self.after)):
            raise GenomeError(f"auxiliary.after must name stages in rising order, not {list(self.after)}")
        if not 0.0 <= self.weight < float("inf"):
            raise GenomeError(f"auxiliary.weight must be at least 0 and finite, not {self.weight!r}")
        if bool(self.after) != (self.weight > 0):
            raise GenomeError("auxiliary: a weight above 0 and stages in `after` go together; give both or none")


@dataclass(frozen=True)
class Survival:
    """Probability that a residual branch is kept while training (Huang et al. 2016, 1603.09382, Section 3).

    `last` is p_L, that of the last block; `linear` decay gives block l of L p_l = 1 - (l/L)(1 - p_L), `uniform` gives
    all p_L. `batch` drops a branch for a whole mini-batch and skips its computation, `sample` for single images.
    """

    last: float = 1.0
    decay: Literal["linear", "uniform"] = "linear"
    mode: Literal["batch", "sample"] = "batch"

    def __post_init__(self) -> None:
        if not 0.0 < self.last <= 1.0:
            raise GenomeError(f"survival.last must be above 0 and at most 1, not {self.last!r}")

    def probabilities(self, blocks: int) -> Probabilities:
        """One probability for each of `blocks` blocks, first to last."""
        return Probabilities(self, blocks, 0, blocks)


@dataclass(frozen=True)
class Probabilities:
    """Survival of `count` blocks in a row, of which `before` others of all `blocks` precede the first."""

    survival: Survival
    blocks: int
    before: int
    count: int

    def __getitem__(self, index: int) -> float:
        last = self.survival.last
        if self.survival.decay == "uniform":
            return last
        return 1.0 - (self.before + index + 1) / self.blocks * (1.0 - last)

    def __iter__(self) -> Iterator[float]:
        return (self[index] for index in range(self.count))

    def part(self, start: int, count: int) -> Probabilities:
        """Those of `count` blocks from number `start` (the first is 0) on."""
        return Probabilities(self.survival, self.blocks, self.before + start, count)


@dataclass(frozen=True)
class Genome:
    """A network up to its input size and number of classes.

    `initialisation`: `he` is He normal for convolutions; `he-zero-last-norm` also starts at zero the normalisation that
    a residual branch ends in, so that each block begins as its shortcut (Goyal et al. 2017, 1706.02677, 5.1); `auto` is
    the second where some branch ends in a normalisation and no shortcut pads channels with zeros, else the first.
    """

    stages: tuple[Stage, ...]
    stem: Stem = field(default_factory=Stem)
    head: Head = field(default_factory=Head)
    survival: Survival = field(default_factory=Survival)
    initialisation: Literal["auto", "he", "he-zero-last-norm"] = "auto"
    auxiliary: Auxiliary = field(default_factory=Auxiliary)

    def __post_init__(self) -> None:
        if not self.stages:
            raise GenomeError("stages: a network needs at least one stage")
        if any(not 1 <= number < len(self.stages) for number in self.auxiliary.after):
            middle = f"1 to {len(self.stages) - 1}" if len(self.stages) > 1 else "of which this network has none"
            raise GenomeError(
                f"auxiliary.after {list(self.auxiliary.after)}: name middle stages, {middle}; "
                "behind the last stage stands the head"
            )

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()[:12]


def genome_data(genome: Genome) -> dict[str, Any]:
    """The genome as plain data, defaults left out, so that a new gene never changes an old id."""
    data = _given(genome, skip=("stages",))
    data["stages"] = [_stage_data(stage) for stage in genome.stages]
    return data


def _stage_data(stage: Stage) -> dict[str, Any]:
    common = {"block": stage.block, "depth": stage.depth, "width": stage.width, "stride": stage.stride}
    return {name: value for name, value in common.items() if value is not None} | _given(stage.genes)


def canonical_json(genome: Genome) -> str:
    """The one spelling of a genome: keys sorted, no blanks, defaults left out."""
    return json.dumps(genome_data(genome), sort_keys=True, separators=(",", ":"))


def _given(instance: DataclassInstance, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Fields whose value is not their default, nested dataclasses as mappings."""
    given: dict[str, Any] = {}
    for name, default in _defaults(type(instance)):
        value = getattr(instance, name)
        if value != default and name not in skip:
            nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
            given[name] = _given(value) if nested else list(value) if isinstance(value, tuple) else value
    return given


@cache
def _defaults(kind: type[DataclassInstance]) -> tuple[tuple[str, Any], ...]:
    """Each field of a dataclass with its default."""
    return tuple(
        (item.name, item.default_factory() if callable(item.default_factory) else item.default)
        for item in dataclasses.fields(kind)
    )
