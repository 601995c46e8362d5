"""A network as one readable source file: the classes it was trained with, and `build` with literal integers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archspace.blueprint import Widths
from archspace.errors import UserError
from archspace.export.facts import Facts, docstring
from archspace.export.imports import Shipped, imports_of, source_of_item
from archspace.plan import LINE

if TYPE_CHECKING:
    from archspace.blueprint import Blueprint, Run, StagePlan
    from archspace.genome import Probabilities
    from archspace.plan import Part

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
    for part in _parts(blueprint):
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


def _parts(blueprint: Blueprint) -> Iterator[Part]:
    """Every part in use, in order of first use, those inside others first."""
    if blueprint.stem is not None:
        yield from blueprint.stem.parts()
    for stage in blueprint.stages:
        for plan in stage.plans():
            yield from plan.parts()
        if stage.container is not None:
            yield stage.container
    yield from blueprint.head.parts()


def _build(blueprint: Blueprint) -> str:
    """The function at the end of the file: literal integers, a loop where blocks repeat."""
    from archspace.parts.initialise import INITIALISATIONS

    stem = blueprint.stem.source(4, len("stem = ")) if blueprint.stem else "nn.Identity()"
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
    about = f"  # stage {number}: {blocks}, {stage.width} channels"
    pieces = [plan for plan in (stage.entry, stage.exit) if plan is not None]
    if stage.container is None:
        inner = "".join(_blocks(run, 12) for run in stage.runs)
    elif not pieces:
        inner = "".join(_blocks(run, 12) for run in stage.runs)
        return f"{STEP * 2}{stage.container.module.__name__}({about}\n{inner}{STEP * 2}),\n"
    else:
        inner = "".join(_blocks(run, 16) for run in stage.runs)
        inner = f"{STEP * 3}{stage.container.module.__name__}(\n{inner}{STEP * 3}),\n"
    around = ("" if plan is None else f"{STEP * 3}{plan.source(12, 1)},\n" for plan in (stage.entry, stage.exit))
    return f"{STEP * 2}nn.Sequential({about}\n{inner.join(around)}{STEP * 2}),\n"


def _blocks(run: Run, indent: int) -> str:
    """One block, or a comprehension over equal ones, as elements of the stage's container."""
    outer, inner, plan = " " * indent, " " * (indent + 4), run.plan
    if run.count == 1:
        return f"{outer}{run.block(0).source(indent, 1)},\n"
    loop = (
        f"for _ in range({run.count})" if run.values is None else f"for {run.symbol} in {_numbers(run.values, indent)}"
    )
    for line in (f"{outer}*({plan.line} {loop}),\n", f"{outer}*(\n{inner}{plan.line} {loop}\n{outer}),\n"):
        if all(len(part) <= LINE for part in line.split("\n")):
            return line
    return f"{outer}*(\n{inner}{plan.source(indent + 4)}\n{inner}{loop}\n{outer}),\n"


def _numbers(values: Widths | Probabilities, indent: int) -> str:
    """What a loop runs over: a range, or each number as the very value, wrapped where a line would overflow."""
    if isinstance(values, Widths):
        return repr(values.numbers)
    inner = " " * (indent + 4)
    flat = ", ".join(repr(value) for value in values)
    if len(f"{inner}for p in ({flat})") <= LINE:
        return f"({flat})"
    deeper = inner + STEP
    rows = textwrap.fill(f"{flat},", LINE, initial_indent=deeper, subsequent_indent=deeper)
    return f"(\n{rows}\n{inner})"
