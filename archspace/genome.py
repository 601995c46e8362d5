"""Genomes: frozen descriptions of networks with canonical JSON and an id that never changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from archspace.errors import GenomeError

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
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise GenomeError(f"{name} must be a whole number of at least 1, not {value!r}")


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one family; the first has the stage's stride, all have `width` output channels."""

    block: str
    depth: int
    width: int
    stride: int
    genes: DataclassInstance

    def __post_init__(self) -> None:
        require_positive(self, "depth", "width", "stride")
        if self.depth > MOST_BLOCKS:
            raise GenomeError(f"depth must be at most {MOST_BLOCKS}, not {self.depth}")


@dataclass(frozen=True)
class Stem:
    """The layers before the first stage: `imagenet` (7x7 stride 2, 3x3 max-pool stride 2) or `cifar` (3x3)."""

    kind: Literal["imagenet", "cifar"] = "imagenet"
    width: int = 64

    def __post_init__(self) -> None:
        require_positive(self, "width")


@dataclass(frozen=True)
class Head:
    """The layers after the last stage: `average` is global average pooling and a linear classifier."""

    kind: Literal["average"] = "average"


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

    def probabilities(self, blocks: int) -> tuple[float, ...]:
        """One probability for each of `blocks` blocks, first to last."""
        if self.decay == "uniform":
            return (self.last,) * blocks
        return tuple(1.0 - index / blocks * (1.0 - self.last) for index in range(1, blocks + 1))


@dataclass(frozen=True)
class Genome:
    """A network up to its input size and number of classes.

    `initialisation`: `he` is He normal for convolutions; `he-zero-last-norm` also starts the last normalisation of
    every residual branch at zero, so that each block begins as its shortcut (Goyal et al. 2017, 1706.02677, 5.1).
    """

    stages: tuple[Stage, ...]
    stem: Stem = field(default_factory=Stem)
    head: Head = field(default_factory=Head)
    survival: Survival = field(default_factory=Survival)
    initialisation: Literal["he", "he-zero-last-norm"] = "he-zero-last-norm"

    def __post_init__(self) -> None:
        if not self.stages:
            raise GenomeError("stages: a network needs at least one stage")

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()[:12]


def genome_data(genome: Genome) -> dict[str, Any]:
    """The genome as plain data, defaults left out, so that a new gene never changes an old id."""
    data = _given(genome, skip=("stages",))
    data["stages"] = [
        {"block": s.block, "depth": s.depth, "width": s.width, "stride": s.stride} | _given(s.genes)
        for s in genome.stages
    ]
    return data


def canonical_json(genome: Genome) -> str:
    """The one spelling of a genome: keys sorted, no blanks, defaults left out."""
    return json.dumps(genome_data(genome), sort_keys=True, separators=(",", ":"))


def _given(instance: DataclassInstance, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Fields whose value is not their default, nested dataclasses as mappings."""
    given: dict[str, Any] = {}
    for item in dataclasses.fields(instance):
        if item.name in skip:
            continue
        value = getattr(instance, item.name)
        default = item.default_factory() if callable(item.default_factory) else item.default
        if value != default:
            nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
            given[item.name] = _given(value) if nested else value
    return given
