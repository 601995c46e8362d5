"""Plans of modules: a torch class with its closed-form cost, and calls of it with every argument resolved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Union

if TYPE_CHECKING:
    from torch import nn

    from archspace.featuremap import FeatureMap

LINE = 120
"""Columns of exported source."""


@dataclass(frozen=True)
class Symbol:
    """An argument that stays open in a plan.

    `in_channels` and `num_classes` are arguments of the exported `build`; a block's survival `p`, and the `in_width`
    that grows from one dense layer to the next, are what loops run over.
    """

    name: str


Argument = Union[int, float, str, Symbol, "Planned"]


@dataclass(frozen=True)
class Part:
    """A torch class, its closed-form cost beside it, and the helpers its source needs to stand alone.

    `cost` takes a FeatureMap and the class's arguments by name, and gives the FeatureMap after it. `ends_in_norm` says
    that a normalisation comes last in the class, so that a residual branch of it may begin at zero.
    """

    module: type[nn.Module]
    cost: Callable[..., FeatureMap]
    needs: tuple[Callable[..., object], ...] = ()
    ends_in_norm: bool = False

    @property
    def is_torch(self) -> bool:
        """Whether the class is torch's own, so that its source need not be shipped."""
        return self.module.__module__.startswith("torch.nn.")

    def __call__(self, **arguments: Argument) -> Planned:
        return Planned(self, arguments)


class Planned(NamedTuple):
    """One call of a part: what to build, what it costs, how it is written down."""

    part: Part
    arguments: Mapping[str, Argument]

    def bind(self, **symbols: int | float) -> Planned:
        """The same call with these symbols replaced by their values, in arguments of arguments too."""
        bound: dict[str, Argument] = {}
        for name, value in self.arguments.items():
            if isinstance(value, Symbol):
                bound[name] = symbols.get(value.name, value)
            else:
                bound[name] = value.bind(**symbols) if isinstance(value, Planned) else value
        return Planned(self.part, bound)

    def cost(self, x: FeatureMap) -> FeatureMap:
        """The feature map after this module."""
        return self.part.cost(x, **self.arguments)

    def build(self) -> nn.Module:
        """The module; every symbol must be bound."""
        return self.part.module(
            **{name: value.build() if isinstance(value, Planned) else value for name, value in self.arguments.items()}
        )

    def source(self, indent: int = 0, around: int = 0) -> str:
        """The call as Python source at column `indent`, broken as a formatter would where it exceeds LINE columns.

        `around` columns are taken by what stands before and after it.
        """
        line = self.line
        if indent + around + len(line) <= LINE:
            return line
        call, _, arguments = line.partition("(")
        inner = " " * (indent + 4)
        if len(inner) + len(arguments) - 1 <= LINE:
            return f"{call}(\n{inner}{arguments[:-1]}\n{' ' * indent})"
        lines = [f"{inner}{key}={_text(value, len(inner), len(key) + 2)},\n" for key, value in self.arguments.items()]
        return f"{call}(\n{''.join(lines)}{' ' * indent})"

    @property
    def line(self) -> str:
        """The call as Python source on one line."""
        name = self.part.module.__name__
        arguments = ", ".join(f"{key}={_text(value)}" for key, value in self.arguments.items())
        return f"{'nn.' if self.part.is_torch else ''}{name}({arguments})"

    def parts(self) -> Iterator[Part]:
        """Every part in use, those inside arguments first."""
        for value in self.arguments.values():
            if isinstance(value, Planned):
                yield from value.parts()
        yield self.part


def _text(value: Argument, indent: int | None = None, around: int = 0) -> str:
    """An argument as Python source, on one line where no `indent` is given."""
    if isinstance(value, Planned):
        return value.line if indent is None else value.source(indent, around)
    if isinstance(value, str):
        return json.dumps(value)
    return value.name if isinstance(value, Symbol) else repr(value)
