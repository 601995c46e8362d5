"""Space files: YAML that a person can read, checked down to line and column."""

from __future__ import annotations

import dataclasses
from pathlib import Path as File
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from archspace.document import Document, Mistakes, Path, read_file, unknown_key
from archspace.errors import BudgetError, GenomeError, UserError
from archspace.genome import Genome, Head, Stem, Survival
from archspace.space.budget import Budget, parse_budget
from archspace.space.sampler import reachable
from archspace.space.space import Gene, Slot, Slots, Space
from archspace.space.stages import read_stages
from archspace.space.values import read_value

_Side = Annotated[int, Field(ge=1)]


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: tuple[_Side, _Side, _Side]
    classes: Annotated[int, Field(ge=2)]


class _SpaceFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    about: str = ""
    target: _Target
    stem: dict[str, Any] = Field(default_factory=dict)
    stages: dict[str, Any]
    head: dict[str, Any] = Field(default_factory=dict)
    survival: dict[str, Any] = Field(default_factory=dict)
    initialisation: Any = None
    limits: list[str] = Field(default_factory=list)


def load_space(name: str | File) -> Space:
    """The space in a file, or the shipped one of this name, with or without `.yaml`; raises UserError."""
    path = File(name)
    if path.is_file():
        return read_space(read_file(path))
    for folder in _shipped_folders():
        file = folder / (path.name if path.suffix else f"{path.name}.yaml")
        if path.name == str(name) and file.is_file():
            return read_space(read_file(file))
    shipped = ", ".join(shipped_spaces())
    raise UserError(f"space {str(name)!r}: no such file, and no shipped space of that name; shipped are {shipped}")


def shipped_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with archspace."""
    return tuple(sorted({path.stem for folder in _shipped_folders() for path in folder.glob("*.yaml")}))


def read_space(document: Document) -> Space:
    """The space that a document describes; raises UserError with every mistake at its line and column."""
    mistakes = Mistakes(document)
    file = mistakes.check(_SpaceFile)
    # The sections are read even where the file as a whole is wrong, so that one reading tells every mistake.
    genes: list[Gene] = []
    section = document.at(("stages",))
    stages = read_stages(section, mistakes, genes) if isinstance(section, dict) else ()
    stem = _section("stem", Stem, mistakes, genes)
    head = _section("head", Head, mistakes, genes)
    survival = _section("survival", Survival, mistakes, genes)
    initialisation = _section("", Genome, mistakes, genes)["initialisation"]
    limits = _limits(document.at(("limits",)), mistakes)
    mistakes.raise_if_any()
    assert file is not None, "a file that cannot be read leaves a mistake"
    space = Space(
        name=file.name or File(document.source).stem,
        about=file.about.strip(),
        input=file.target.input,
        classes=file.target.classes,
        genes=tuple(genes),
        stages=stages,
        stem=stem,
        head=head,
        survival=survival,
        initialisation=initialisation,
        limits=limits,
        source=document.data,
    )
    try:
        reachable(space, "flops")
    except GenomeError as error:
        mistakes.add(("stages",), str(error))
    mistakes.raise_if_any()
    return space


def _section(name: str, kind: type[Stem | Head | Survival | Genome], mistakes: Mistakes, genes: list[Gene]) -> Slots:
    """Slots for the fields of a part of the genome: those given in the section `name`, the defaults for the rest."""
    section = mistakes.document.at((name,) if name else ())
    given: dict[str, Any] = section if isinstance(section, dict) else {}
    hints = get_type_hints(kind)
    fields = {item.name: item.default for item in dataclasses.fields(kind) if item.default is not dataclasses.MISSING}
    slots: dict[str, Slot] = {}
    for field, default in fields.items():
        place = (name, field) if name else (field,)
        called = ".".join(place)
        slots[field] = Slot(default)
        if field in given:
            slots[field] = read_value(given[field], hints[field], place, called, mistakes, genes)
            _check_values(slots[field], kind, place, mistakes, genes)
    for key in given if name else ():
        if key not in fields:
            mistakes.add((name, key), unknown_key(key, fields))
    return slots


def _check_values(
    slot: Slot, kind: type[Stem | Head | Survival | Genome], place: Path, mistakes: Mistakes, genes: list[Gene]
) -> None:
    """Refuse values that a part of the genome does not take, such as a survival above 1."""
    values = [value for gene in genes if gene.name == slot.gene for value in gene.values]
    for value in values if slot.gene else [slot.value]:
        if value is None or kind is Genome:
            return
        try:
            kind(**{str(place[-1]): value})  # type: ignore[arg-type]  # the value has the field's type
        except GenomeError as error:
            mistakes.add(place, str(error))
            return


def _limits(texts: Any, mistakes: Mistakes) -> Budget:
    good: list[str] = []
    listed = texts if isinstance(texts, list) else []
    for index, text in ((index, text) for index, text in enumerate(listed) if isinstance(text, str)):
        try:
            parse_budget([*good, text])
            good.append(text)
        except BudgetError as error:
            mistakes.add(("limits", index), str(error))
    return parse_budget(good) if good else Budget()


def _shipped_folders() -> list[File]:
    """Beside the package in a checkout, inside it in a wheel."""
    package = File(__file__).parent.parent
    return [package / "search_spaces", package.parent / "search_spaces"]
