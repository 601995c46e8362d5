"""Space files: YAML that a person can read, checked down to line and column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from archspace.document import Document, Mistakes, read_file
from archspace.errors import BudgetError, GenomeError, UserError
from archspace.files import is_file
from archspace.shipped import find_file, shipped_names
from archspace.space.budget import Budget, parse_budget
from archspace.space.reach import check_buildable
from archspace.space.sections import Sections, read_sections
from archspace.space.space import FAMILY, Gene, Slot, Space

FOLDER = "search_spaces"
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
    limits: list[str] = Field(default_factory=list)


class _OneFamily(_SpaceFile, Sections):
    pass


class _Families(_SpaceFile):
    families: Annotated[list[str], Field(min_length=2)] | Annotated[dict[str, Any], Field(min_length=2)]


def load_space(name: str | File) -> Space:
    """The space in a file, or the shipped one of this name, with or without `.yaml`; raises UserError."""
    return read_space(read_file(find_file("space", name, FOLDER)))


def shipped_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with archspace."""
    return shipped_names(FOLDER)


def read_space(document: Document) -> Space:
    """The space that a document describes; raises UserError with every mistake at its line and column."""
    mistakes = Mistakes(document)
    if isinstance(document.data, dict) and "families" in document.data:
        return _read_union(document, mistakes)
    file = mistakes.check(_OneFamily)
    # The sections are read even where the file as a whole is wrong, so that one reading tells every mistake.
    genes: list[Gene] = []
    sections = read_sections(mistakes, genes)
    limits = _limits(document.at(("limits",)), mistakes)
    mistakes.raise_if_any()
    assert file is not None, "a file that cannot be read leaves a mistake"
    space = Space(
        **_about(file, document, limits),
        genes=tuple(genes),
        **sections,
        source=document.data,
    )
    try:
        check_buildable(space)
    except GenomeError as error:
        mistakes.add(("stages",), str(error))
    mistakes.raise_if_any()
    return space


def _read_union(document: Document, mistakes: Mistakes) -> Space:
    """A space of several families: names of spaces, or a mapping of them. Costs count at the union's own target."""
    file = mistakes.check(_Families)
    limits = _limits(document.at(("limits",)), mistakes)
    mistakes.raise_if_any()
    assert file is not None, "a file that cannot be read leaves a mistake"
    families: dict[str, Space] = {}
    problems: list[str] = []
    for key, listed in _listed(file.families):
        try:
            inner = _family_document(document, key, listed)
            name = str(inner.data.get("name", key)) if listed else str(key)
            if name in families:
                raise UserError(document.problem(("families", key), f"a second family called {name!r}; keep one"))
            families[name] = read_space(inner)
        except UserError as error:
            problems += error.messages
    if problems:
        raise UserError(*problems)
    given = {name: _without_target(space.source) for name, space in families.items()}
    return Space(
        **_about(file, document, limits),
        genes=_genes_of(families),
        stages=(),
        stem={},
        head={},
        survival={},
        auxiliary={},
        initialisation=Slot("auto"),
        source={**document.data, "families": given},
        families=families,
    )


def _listed(families: list[str] | dict[str, Any]) -> list[tuple[str | int, str]]:
    """Each family's key in the file, and the name of the space it is, empty where the file spells it out."""
    if isinstance(families, list):
        return list(enumerate(families))
    return [(name, "") for name in families]


def _family_document(document: Document, key: str | int, listed: str) -> Document:
    """A family as a space file of its own, at the target of the union."""
    target = document.data["target"]
    if listed:
        beside = File(document.source).parent / listed
        several = document.problem(("families", key), f"{listed!r} is itself a space of several families")
        if is_file(beside) and "families" in (read_file(beside).data or ()):  # read as a space it might read itself
            raise UserError(several)
        try:
            found = load_space(beside if is_file(beside) else listed)
        except UserError as error:
            raise UserError(*(document.problem(("families", key), message) for message in error.messages)) from None
        if found.families:
            raise UserError(several)
        return Document(listed, {**found.source, "name": found.name, "target": target}, {})
    data = document.data["families"][key]
    if not isinstance(data, dict):
        raise UserError(document.problem(("families", key), "expected a mapping with the sections of a space"))
    places = {path[2:]: place for path, place in document.places.items() if path[:2] == ("families", key)}
    return Document(document.source, {"name": key, **data, "target": target}, places)


def _without_target(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key != "target"}


def _genes_of(families: Mapping[str, Space]) -> tuple[Gene, ...]:
    """The gene that chooses a family, and every family's genes under its name."""
    inner = [
        Gene(f"{name}.{gene.name}", gene.values, gene.log) for name, space in families.items() for gene in space.genes
    ]
    return (Gene(FAMILY, tuple(families)), *inner)


def _about(file: _SpaceFile, document: Document, limits: Budget) -> dict[str, Any]:
    return {
        "name": file.name or File(document.source).stem,
        "about": file.about.strip(),
        "input": file.target.input,
        "classes": file.target.classes,
        "limits": limits,
    }


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
