"""Genomes from YAML and JSON, every mistake told at its place."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from archspace.blocks.registry import Family, family
from archspace.blueprint import draw
from archspace.document import Document, Mistakes, Path, read_file, read_text
from archspace.errors import GenomeError, UserError
from archspace.genome import Auxiliary, Genome, Stage
from archspace.regnet import RegNetRule, regnet_stages

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Instance = TypeVar("Instance", bound="DataclassInstance")


class _Form(BaseModel):
    """What a file says of one dataclass; `model_fields_set` tells which fields it gives."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class _Block(BaseModel):
    block: str


class _Rule(BaseModel):
    rule: Literal["regnet"]


def load_genome(path: File) -> Genome:
    """The genome in a YAML or JSON file; raises UserError with file, line and column of every mistake."""
    return _only_genome(read_file(path))


def read_genome(text: str, source: str) -> Genome:
    """The genome in YAML or JSON text, called `source` in messages; raises UserError as load_genome does."""
    return _only_genome(read_text(text, source))


def genome_from_data(data: Any) -> Genome:
    """The inverse of genome_data; raises GenomeError."""
    try:
        return _only_genome(Document("genome", data, {}))
    except UserError as error:
        raise GenomeError(*error.messages) from None


def parse_genome(mistakes: Mistakes, path: Path) -> Genome | None:
    """The genome at `path` of the document; None where there are mistakes, which go to `mistakes` with their places."""
    before = len(mistakes)
    form = mistakes.check(_genome_form(), path)
    stages = _stages((*path, "stages"), mistakes)
    if form is None or len(mistakes) > before:
        return None
    genome = _built(Genome, form, path, mistakes, stages=stages)
    return genome if genome and _can_be_drawn(genome, path, mistakes) else None


def _only_genome(document: Document) -> Genome:
    mistakes = Mistakes(document)
    genome = parse_genome(mistakes, ())
    mistakes.raise_if_any()
    assert genome is not None, "every genome that cannot be read leaves a mistake"
    return genome


def _stages(path: Path, mistakes: Mistakes) -> tuple[Stage | None, ...]:
    """A list of stages, or the rule that stands for them."""
    data = mistakes.document.at(path)
    if isinstance(data, dict):
        return _stages_of_rule(path, mistakes)
    return tuple(_stage((*path, index), mistakes) for index in range(len(data) if isinstance(data, list) else 0))


def _stages_of_rule(path: Path, mistakes: Mistakes) -> tuple[Stage, ...]:
    named = mistakes.check(_Rule, path)
    form = mistakes.check(_rule_form(), path) if named else None
    rule = _built(RegNetRule, form, path, mistakes) if form else None
    try:
        return regnet_stages(rule) if rule else ()
    except GenomeError as error:
        mistakes.add(path, str(error))
        return ()


def _stage(path: Path, mistakes: Mistakes) -> Stage | None:
    named = mistakes.check(_Block, path)
    if named is None:
        return None
    try:
        kind = family(named.block)
    except GenomeError as error:
        mistakes.add((*path, "block"), str(error))
        return None
    form = mistakes.check(_stage_form(kind), path)
    if form is None:
        return None
    genes: DataclassInstance | None = _built(kind.genes, form, path, mistakes)
    if genes is None:
        return None
    unsaid: dict[str, None] = {} if "width" in form.model_fields_set else {"width": None}
    return _built(Stage, form, path, mistakes, genes=genes, **unsaid)


def _built(kind: type[Instance], form: _Form, path: Path, mistakes: Mistakes, **built: object) -> Instance | None:
    """The dataclass that `form` describes; fields that it leaves out take their defaults, `built` are done already."""
    before = len(mistakes)
    values = dict(built)
    for item in dataclasses.fields(kind):
        if item.name in form.model_fields_set and item.name not in built:
            value = getattr(form, item.name)
            if isinstance(value, _Form):
                value = _built(get_type_hints(kind)[item.name], value, (*path, item.name), mistakes)
            values[item.name] = value
    try:
        return kind(**values) if len(mistakes) == before else None
    except GenomeError as error:
        mistakes.add(path, str(error))
        return None


def _can_be_drawn(genome: Genome, path: Path, mistakes: Mistakes) -> bool:
    try:
        draw(genome)
        return True
    except GenomeError as error:
        message = str(error)
    for number in range(1, len(genome.stages) + 1 if message.startswith("stage ") else 0):
        try:
            draw(dataclasses.replace(genome, stages=genome.stages[:number], initialisation="he", auxiliary=Auxiliary()))
        except GenomeError:
            path = (*path, "stages", number - 1)
            message = message.removeprefix(f"stage {number}: ")
            break
    mistakes.add(path, message)
    return False


@cache
def _genome_form() -> type[_Form]:
    return create_model("Genome", __base__=_Form, **{**_fields(Genome), "stages": (list[Any] | dict[str, Any], ...)})


@cache
def _rule_form() -> type[_Form]:
    return create_model("Rule", __base__=_Form, **_fields(RegNetRule), rule=(str, ...))


@cache
def _stage_form(kind: Family) -> type[_Form]:
    stage: dict[str, Any] = {"block": (str, ...), "depth": (int, ...), "stride": (int, ...)}
    # A width where it follows from the genes is read, so that drawing can say why it is refused.
    stage["width"] = (int | None, None) if kind.growth else (int, ...)
    return create_model("Stage", __base__=_Form, **{**_fields(kind.genes), **stage})


@cache
def _form(kind: type[DataclassInstance]) -> type[_Form]:
    return create_model(kind.__name__, __base__=_Form, **_fields(kind))


def _fields(kind: type[DataclassInstance]) -> dict[str, Any]:
    """The fields of a dataclass for create_model; a default only says that the field may be left out."""
    hints = get_type_hints(kind)
    return {
        item.name: (
            _form(hints[item.name]) if dataclasses.is_dataclass(hints[item.name]) else hints[item.name],
            ... if item.default is item.default_factory is dataclasses.MISSING else None,
        )
        for item in dataclasses.fields(kind)
    }
