"""A network as one readable source file: the classes it was trained with, and `build` with literal integers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archspace.errors import UserError
from archspace.export.facts import Facts, docstring
from archspace.export.imports import Shipped, imports_of, source_of_item
from archspace.plan import LINE

if TYPE_CHECKING:
    from archspace.blueprint import Blueprint, StagePlan
    from archspace.plan import Planned

Run = tuple["Planned", int, tuple[float, ...]]
"""Blocks in a row that one plan builds: how many, and their p where these differ."""

STEP = " " * 4


def source_of(blueprint: Blueprint, facts: Facts, weights: str | None = None) -> str:
    """The file that builds this blueprint's network with torch alone.

    Its `build(num_classes, in_channels)` defaults to the blueprint's classes and channels; state-dict keys and shapes
    are those of `archspace.network.build`. `weights` names the safetensors file beside it. Raises UserError where a
    block's source needs something that its part does not ship.
    """
    shipped = _shipped(blueprint)
    about = f'"""{docstring(facts, blueprint.input, blueprint.classes, weights)}\n"""'
    classes = [source_of_item(item) for item in shipped]
    return "\n\n\n".join([f"{about}\n\n{imports_of(shipped)}", *classes, _build(blueprint)]) + "\n"


def _shipped(blueprint: Blueprint) -> list[Shipped]:
    """What the file consists of, each once: parts in order of first use, Network, the initialiser's functions."""
    from archspace.network import Network
    from archspace.parts.initialise import INITIALISATIONS

    found: dict[Shipped, None] = {}
    plans = [blueprint.stem, *(plan for s in blueprint.stages for plan, _, _ in _runs(s)), blueprint.head]
    for part in (part for plan in plans for part in plan.parts()):
        found.update(dict.fromkeys(part.needs))
        if not part.is_torch:
            found[part.module] = None
    found[Network] = None
    found.update(dict.fromkeys(reversed(INITIALISATIONS[blueprint.initialisation])))
    names: dict[str, Shipped] = {}
    for item in found:
        other = names.setdefault(item.__name__, item)
        if other is not item:
            raise UserError(
                f"{item.__module__} and {other.__module__} both define {item.__name__}, "
                "and one exported file cannot hold both: rename one"
            )
    return list(found)


def _build(blueprint: Blueprint) -> str:
    """The function at the end of the file: literal integers, a loop where blocks repeat."""
    from archspace.parts.initialise import INITIALISATIONS

    stem = blueprint.stem.source(4, len("stem = "))
    head = blueprint.head.source(4, len("head = "))
    stages = "".join(_stage(number, stage) for number, stage in enumerate(blueprint.stages, start=1))
    return (
        f"def build(num_classes: int = {blueprint.classes}, in_channels: int = {blueprint.input[0]}) -> Network:\n"
        f'{STEP}"""The network with new weights, on the CPU in float32."""\n'
        f"{STEP}stem = {stem}\n"
        f"{STEP}stages = nn.Sequential(\n{stages}{STEP})\n"
        f"{STEP}head = {head}\n"
        f"{STEP}network = Network(stem, stages, head)\n"
        f"{STEP}{INITIALISATIONS[blueprint.initialisation][0].__name__}(network)\n"
        f"{STEP}return network"
    )


def _stage(number: int, stage: StagePlan) -> str:
    blocks = f"{stage.depth} {stage.block} block{'s' if stage.depth > 1 else ''}"
    lines = "".join(_blocks(*run) for run in _runs(stage))
    return f"{STEP * 2}nn.Sequential(  # stage {number}: {blocks}, {stage.width} channels\n{lines}{STEP * 2}),\n"


def _runs(stage: StagePlan) -> Iterator[Run]:
    """The stage's blocks, grouped as far as one plan builds them: nothing is looped over that occurs once."""
    ps = stage.survival
    if stage.first == stage.steady:
        yield _run(stage.steady, stage.depth, ps)
        return
    yield _run(stage.first, 1, ps[:1])
    if stage.depth > 1:
        yield _run(stage.steady, stage.depth - 1, ps[1:])


def _run(plan: Planned, count: int, ps: tuple[float, ...]) -> Run:
    if len(set(ps)) == 1:
        return plan.bind(p=ps[0]), count, ()
    return plan, count, ps


def _blocks(plan: Planned, count: int, ps: tuple[float, ...]) -> str:
    """One block, or a comprehension over equal ones, as elements of the stage's nn.Sequential."""
    outer, inner = STEP * 3, STEP * 4
    if count == 1:
        return f"{outer}{plan.source(12, 1)},\n"
    loop = f"for p in {_numbers(ps)}" if ps else f"for _ in range({count})"
    for line in (f"{outer}*({plan.line} {loop}),\n", f"{outer}*(\n{inner}{plan.line} {loop}\n{outer}),\n"):
        if all(len(part) <= LINE for part in line.split("\n")):
            return line
    return f"{outer}*(\n{inner}{plan.source(16)}\n{inner}{loop}\n{outer}),\n"


def _numbers(ps: tuple[float, ...]) -> str:
    """A tuple of floats, each as the very value; wrapped where a line would overflow."""
    flat = ", ".join(repr(p) for p in ps)
    if len(f"{STEP * 4}for p in ({flat})") <= LINE:
        return f"({flat})"
    rows = textwrap.fill(f"{flat},", LINE, initial_indent=STEP * 5, subsequent_indent=STEP * 5)
    return f"(\n{rows}\n{STEP * 4})"
