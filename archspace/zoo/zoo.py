"""Reading the zoo: one YAML file per family, one top-level key per network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from archspace.closed_form import cost_of
from archspace.document import Mistakes, read_text
from archspace.errors import UserError, did_you_mean
from archspace.genomefile import parse_genome

if TYPE_CHECKING:
    from archspace.genome import Genome, Shape


@dataclass(frozen=True)
class ZooEntry:
    """A published network: its genome, its figures at `input` and `classes`, and what is printed of it.

    `exact` says that the figures are the published network's; else they are this genome's own, which comes near a
    network whose papers leave some widths open. `published` quotes errors in percent, each with its protocol and
    source, and the counts that papers round.
    """

    name: str
    family: str
    genome: Genome
    input: Shape
    classes: int
    layers: int
    params: int
    macs: int
    flops: int
    acts: int
    published: Mapping[str, str | float]
    exact: bool = True


class _Figures(BaseModel):
    """What the closed form must give exactly; units as in Cost."""

    model_config = ConfigDict(extra="forbid")
    layers: int
    params: int
    macs: int
    flops: int
    acts: int


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: tuple[int, int, int]
    classes: int
    genome: dict[str, Any]
    figures: _Figures
    published: dict[str, str | float]
    exact: bool = True


def names() -> tuple[str, ...]:
    """The names of all networks, family by family."""
    return tuple(_texts())


def entry(name: str) -> ZooEntry:
    """The network of this name; raises UserError that names the closest."""
    texts = _texts()
    if name not in texts:
        raise UserError(f"the zoo has no network {name!r}{did_you_mean(name, texts)}; `archspace zoo` lists them")
    family, text = texts[name]
    document = read_text(text, f"{family}.yaml")
    mistakes = Mistakes(document)
    form = mistakes.check(_Entry, (name,))
    genome = parse_genome(mistakes, (name, "genome"))
    mistakes.raise_if_any()
    assert form is not None, "every entry that cannot be read leaves a mistake"
    assert genome is not None, "every genome that cannot be read leaves a mistake"
    return ZooEntry(
        name=name,
        family=family,
        genome=genome,
        input=form.input,
        classes=form.classes,
        published=form.published,
        exact=form.exact,
        **form.figures.model_dump(),
    )


def entries() -> tuple[ZooEntry, ...]:
    """All networks, family by family."""
    return tuple(entry(name) for name in names())


def check(entry: ZooEntry) -> list[str]:
    """Each figure that the closed form does not give exactly, as `name: figure: closed form ..., recorded ...`."""
    cost = cost_of(entry.genome, entry.input, entry.classes)
    return [
        f"{entry.name}: {figure}: closed form {getattr(cost, figure):,}, recorded {getattr(entry, figure):,}"
        for figure in _Figures.model_fields
        if getattr(cost, figure) != getattr(entry, figure)
    ]


@cache
def _texts() -> Mapping[str, tuple[str, str]]:
    """Each network's family and YAML text, cut out unparsed: parsing all of the zoo takes long.

    Empty lines stand for what was cut away before it, so that messages name the right line.
    """
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        text = file.read_text(encoding="utf-8")
        for match in re.finditer(r"^([^\s#:]+):\n(?:(?: .*)?\n)+", text, flags=re.MULTILINE):
            above = "\n" * text.count("\n", 0, match.start())
            found[match[1]] = (file.name.removesuffix(".yaml"), above + match[0])
    return found
