"""Costs of tables beside the counts of the networks that their rows stand for."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tables import Row, random_rows, table_of
from torch.overrides import TorchFunctionMode

from archspace.blueprint import draw
from archspace.document import Document
from archspace.errors import GenomeError
from archspace.genome import Shape
from archspace.measure.count import _hooked, counted_params, traced_flops
from archspace.network import build
from archspace.space.file import load_space, read_space
from archspace.space.space import Space, genome_of
from archspace.space.table import costs

FAMILIES = tuple(load_space("overview").families)
Counts = Mapping[str, int]
"""Figures of a network by name, as they were counted."""


@dataclass(frozen=True)
class Difference:
    """A row of a space whose figure in the table is not what was counted."""

    space: str
    row: Row
    figure: str
    table: float
    counted: float


class ShapesAlone(TorchFunctionMode):
    """Leaves out what would change numbers and no shapes, for on the meta device there are none."""

    LEFT_OUT = ("kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_", "zero_", "fill_", "batch_norm")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Give back what `func` was given, or what it gives."""
        if func.__name__ not in self.LEFT_OUT:
            return func(*args, **(kwargs or {}))
        return args[0] if args else kwargs["tensor"]


def on_meta(space: Space, row: Row) -> Counts:
    """Params, macs and acts of a network without memory: hooks see the shapes of one image's way through it."""
    with torch.device("meta"), ShapesAlone():
        network = build(draw(genome_of(space, row), space.input, space.classes))
        macs, acts = _hooked(network, space.input)
    return {"params": counted_params(network), "macs": macs, "acts": acts}


def by_fvcore(space: Space, row: Row) -> Counts:
    """The flops of a network that fvcore traces."""
    network = build(draw(genome_of(space, row), space.input, space.classes))
    return {"flops": traced_flops(network, space.input)}


def differences(space: Space, rows: list[Row], count: Callable[[Space, Row], Counts]) -> Iterator[Difference]:
    """Where a table of these rows departs from what is counted; where it has no figures, nothing may be built."""
    for row, (_, told) in zip(rows, costs(space, table_of(rows)).iterrows(), strict=True):
        try:
            counted = count(space, row)
        except GenomeError:
            counted = dict.fromkeys(told.index[told.notna()], -1)
        yield from (
            Difference(space.name, row, figure, told[figure], number)
            for figure, number in counted.items()
            if told[figure] != number
        )


def shallow(name: str) -> Space:
    """A shipped space whose stages have at most 4 blocks."""
    return _capped(name, {"depth": 4}, {"depth": 8})


def small(name: str) -> Space:
    """A shipped space with at most 3 blocks in a stage, few channels, small images and few classes."""
    stages = {"depth": 3, "width": 48, "growth_rate": 16, "cardinality": 8, "group_width": 8}
    return _capped(name, stages, {"depth": 8, "w0": 64, "wa": 24.0, "group_width": 16}, (3, 57, 46), 10)


def _capped(
    name: str,
    stages: Mapping[str, float],
    rule: Mapping[str, float],
    input: Shape | None = None,
    classes: int | None = None,
) -> Space:
    """The space with no value above these under `stages`, or under a rule that stands for stages."""
    source: dict[str, Any] = copy.deepcopy(dict(load_space(name).source))
    if input and classes:
        source["target"] = {"input": list(input), "classes": classes}
        if name == "plain":
            # Hidden layers of 4096 units on 7x7 maps would be nearly all of a small network.
            source["head"] = {"kind": "mlp", "hidden": {"choices": [8, 32]}, "grid": {"choices": [1, 3]}}
    own = source["stages"]
    for key, most in (rule if "rule" in own else stages).items():
        if key in own:
            own[key] = _up_to(own[key], most)
    return read_space(Document(f"{name}.yaml", source, {}))


def _up_to(spec: Any, most: float) -> Any:
    if isinstance(spec, list):
        return [_up_to(one, most) for one in spec]
    if not isinstance(spec, dict):
        return spec
    if "choices" in spec:
        return {**spec, "choices": [choice for choice in spec["choices"] if choice <= most]}
    (low, high), step = spec["range"], spec.get("step", 1)
    low = min(low, most // 2)
    return {**spec, "range": [low, low + (min(high, most) - low) // step * step]}


def drawn(spaces: Mapping[str, Space], count: int, seed: int) -> dict[str, list[Row]]:
    """Random rows of some spaces, `count` in all, as many of each as can be."""
    seeds = random.Random(seed)
    some = {name: count // len(spaces) + (number < count % len(spaces)) for number, name in enumerate(spaces)}
    return {name: random_rows(space, some[name], seeds.getrandbits(32)) for name, space in spaces.items()}


@dataclass(frozen=True)
class Comparison:
    """Networks of some spaces and how they are counted."""

    spaces: Mapping[str, Space]
    count: Callable[[Space, Row], Counts]
    networks: int
    seed: int

    def of(self, name: str) -> list[Difference]:
        """The differences found in one of the spaces."""
        return list(differences(self.spaces[name], self.rows[name], self.count))

    @property
    def rows(self) -> dict[str, list[Row]]:
        """The random rows of each space."""
        return drawn(self.spaces, self.networks, self.seed)


def comparisons(meta: int, deep: int, fvcore: int, seed: int) -> dict[str, Comparison]:
    """So many networks counted by hooks, some of them of the shipped spaces as they are, and traced by fvcore."""
    return {
        "hooks": Comparison({name: shallow(name) for name in FAMILIES}, on_meta, meta, seed),
        "hooks, full depth": Comparison({name: load_space(name) for name in FAMILIES}, on_meta, deep, seed),
        "fvcore": Comparison({name: small(name) for name in FAMILIES}, by_fvcore, fvcore, seed),
    }
