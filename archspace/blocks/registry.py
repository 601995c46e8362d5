"""Which block families there are: every module in this folder, and every entry point `archspace.blocks`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from archspace.errors import GenomeError, UserError, did_you_mean

if TYPE_CHECKING:
    from archspace.genome import Stage
    from archspace.plan import Part, Planned


class LayOut(Protocol):
    """Plans one block: `in_width` -> `width` channels at `stride`.

    `survive` wraps the residual branch where the genome asks for stochastic depth. Raises GenomeError for genes that
    do not fit the widths.
    """

    def __call__(
        self, genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
    ) -> Planned: ...


class Entry(NamedTuple):
    """What a stage does before its first block, and the width and stride that are left for that block."""

    planned: Planned | None
    width: int
    stride: int


def _straight_in(genes: Any, in_width: int, width: int | None, stride: int) -> Entry:
    return Entry(None, in_width, stride)


def _as_it_is(genes: Any, width: int) -> Planned | None:
    return None


def _as_they_are(genes: Mapping[str, Any], width: int) -> Mapping[str, Any]:
    return genes


def _none(genes: Any, width: int) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, eq=False)
class Family:
    """A kind of block: the name genomes call it by, its genes (a frozen dataclass), and its layout.

    `sample_genes` are a few valid settings for a width of 64, over which the conformance suite runs; `residual` says
    that the block has a branch which stochastic depth can skip. `rules` are what a space may say instead of a gene,
    each with the gene it stands for: `resolve` turns them into genes at a stage's width (raises GenomeError),
    `rules_of` is its inverse.

    `enter` plans what stands before a stage's blocks (pooling, a transition), `close` what its last block leaves to be
    done for a reader that does not begin with an activation of its own (a pre-activation block's sum, say).
    `growth` is for blocks that append channels: how many each appends. Their stages have no width of their own, and
    their layout passes `in_width` on unread, since it differs from block to block. `container` holds a stage's blocks
    where nn.Sequential does not do. `sees_image` says that the layout passes `in_width` on unread, so that the block
    may stand where there is no stem.
    """

    name: str
    genes: type
    lay_out: LayOut
    sample_genes: tuple[Any, ...]
    residual: bool = True
    rules: Mapping[str, str] = field(default_factory=dict)
    resolve: Callable[[Mapping[str, Any], int], Mapping[str, Any]] = _as_they_are
    rules_of: Callable[[Any, int], Mapping[str, Any]] = _none
    enter: Callable[[Any, int, int | None, int], Entry] = _straight_in
    close: Callable[[Any, int], Planned | None] = _as_it_is
    growth: Callable[[Any], int] | None = None
    container: Part | None = None
    sees_image: bool = False


@cache
def families() -> dict[str, Family]:
    """Every registered family by name; a module registers by its tuple FAMILIES."""
    package = import_module("archspace.blocks")
    names = [f"archspace.blocks.{info.name}" for info in pkgutil.iter_modules(package.__path__)]
    modules = [import_module(name) for name in names if name != __name__]
    found = {entry.name: entry for module in modules for entry in module.FAMILIES}
    for point in entry_points(group="archspace.blocks"):
        for entry in _loaded(point):
            if entry.name in found:
                raise UserError(f"{_called(point)}: there is a block {entry.name!r} already; give yours another name")
            found[entry.name] = entry
    return found


def _loaded(point: EntryPoint) -> tuple[Family, ...]:
    """The families that an installed package registers; raises UserError that names it where they cannot be had."""
    try:
        entries = tuple(point.load())
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{_called(point)} cannot be loaded: {reason}; mend or uninstall the package") from None
    if not all(isinstance(entry, Family) for entry in entries):
        raise UserError(f"{_called(point)} is not a tuple of Family; see docs/add-a-block.md")
    return entries


def _called(point: EntryPoint) -> str:
    return f"entry point archspace.blocks: {point.name} = {point.value}"


def family(name: str) -> Family:
    """The family of this name; raises GenomeError that names the closest."""
    known = families()
    if name not in known:
        raise GenomeError(f"unknown block {name!r}{did_you_mean(name, known)}; known are {', '.join(sorted(known))}")
    return known[name]


def family_of(number: int, stage: Stage) -> Family:
    """The family of a stage's block; raises GenomeError where the stage's genes are not its."""
    try:
        kind = family(stage.block)
    except GenomeError as error:
        raise GenomeError(f"stage {number}: {error}") from None
    if not isinstance(stage.genes, kind.genes):
        raise GenomeError(
            f"stage {number}: block {stage.block!r} takes {kind.genes.__name__}, not {type(stage.genes).__name__}"
        )
    if kind.growth and stage.width is not None:
        raise GenomeError(f"stage {number}: width: that of block {stage.block!r} follows from its genes; leave it out")
    if not kind.growth and stage.width is None:
        raise GenomeError(f"stage {number}: missing key 'width'")
    return kind
