"""YAML documents (JSON is a subset) whose every value knows its place, and mistakes reported at those places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from archspace.errors import UserError
from archspace.plainwords import Path, found, has, told, unknown_key

__all__ = ["Document", "Mistakes", "Path", "Place", "read_file", "read_text", "unknown_key"]

Place = tuple[int, int]
"""Line and column, both from 1."""

Model = TypeVar("Model", bound=BaseModel)

LARGEST = 10**15
"""Whole numbers beyond are slips of the keyboard, and not exact where they are computed with."""
_CORE = "tag:yaml.org,2002:"
_VALUES = {_CORE + name for name in ("null", "bool", "int", "float")}
_TEXT = {_CORE + name for name in ("str", "timestamp", "value")}
"""Dates and `=` are types of YAML 1.1; here they are text."""


@dataclass(frozen=True)
class Document:
    """Plain data and the places of its values: of the key in a mapping, of the item in a list."""

    source: str
    data: Any
    places: Mapping[Path, Place]

    def at(self, path: Path) -> Any:
        """The value that `path` leads to, or None."""
        data = self.data
        for part in path:
            if not has(data, part):
                return None
            data = data[part]
        return data

    def place(self, path: Path) -> Place | None:
        """Where the deepest part of `path` that the document has begins; None for data that never was a file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)

    def problem(self, path: Path, message: str) -> str:
        """`message` with its place before it: `file:line:column: stages[0].width: message`."""
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        where = "" if message.startswith(f"{where} ") else where  # which says it already
        place = self.place(path)
        start = f"{self.source}:{place[0]}:{place[1]}" if place else self.source
        return ": ".join(part for part in (start, where, message) if part)


def read_file(path: File) -> Document:
    """The document in a file; raises UserError if it is missing, a folder, empty, not UTF-8 or not plain YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the name, or give the full path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a YAML or JSON file in it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return read_text(text, str(path))


def read_text(text: str, source: str) -> Document:
    """The document in `text`, called `source` in messages; raises UserError with the place of every mistake."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
        if root is None:
            raise UserError(f"{source}: empty; write YAML or JSON into it")
        places: dict[Path, Place] = {(): (1, 1)}
        problems: list[tuple[Place, str]] = []
        _survey(root, (), places, problems, set())
        if not problems:
            data = _construct(root, yaml, problems)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UserError(f"{source}:{place[0]}:{place[1]}: not YAML: {error.problem or error.context}") from None
    except ReaderError as error:
        place = _place_of(text, error.position)
        raise UserError(f"{source}:{place[0]}:{place[1]}: not YAML: a character that text files do not hold") from None
    except (OverflowError, ValueError):  # an escape of no character, a number of thousands of digits
        raise UserError(f"{source}: holds a number or a character that is none; write it shorter") from None
    except RecursionError:
        raise UserError(f"{source}: lists and mappings are nested too deeply; make it flatter") from None
    if problems:
        raise UserError(*(f"{source}:{line}:{column}: {message}" for (line, column), message in sorted(problems)))
    return Document(source, data, places)


def _survey(
    node: Node, path: Path, places: dict[Path, Place], problems: list[tuple[Place, str]], seen: set[int]
) -> None:
    """Note the place of every value and refuse what is not plain YAML, before anything is constructed."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.anchor:
        problems.append((_start(node), f"anchor &{node.anchor}: anchors and aliases are not read; write the value out"))
    if str(node.tag) not in _allowed_tags(node):
        tag = str(node.tag).replace(_CORE, "!!")
        problems.append((_start(node), f"tag {tag}: only plain text, numbers, true, false, null, lists and mappings"))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            places[*path, index] = _start(item)
            _survey(item, (*path, index), places, problems, seen)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            problem = _key_problem(key, path, places)
            if problem:
                problems.append((_start(key), problem))
            name = key.value if isinstance(key, ScalarNode) else ""
            places.setdefault((*path, name), _start(key))
            _survey(key, path, places, problems, seen)
            _survey(value, (*path, name), places, problems, seen)


def _key_problem(key: Node, path: Path, places: Mapping[Path, Place]) -> str | None:
    if key.tag == _CORE + "merge":
        return "merge key <<: not read; write the keys out"
    if not isinstance(key, ScalarNode) or str(key.tag) in _VALUES:
        return "a key must be text; put it in quotes"
    if (*path, key.value) in places:
        return f"key {key.value!r} is here twice, first in line {places[*path, key.value][0]}; keep one"
    return None


def _allowed_tags(node: Node) -> set[str]:
    if isinstance(node, ScalarNode):
        return _VALUES | _TEXT | {_CORE + "merge"}
    return {_CORE + ("map" if isinstance(node, MappingNode) else "seq")}


def _start(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _place_of(text: str, position: int) -> Place:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


def _construct(node: Node, yaml: YAML, problems: list[tuple[Place, str]]) -> Any:
    """Plain data of a surveyed node; values that no type can hold go to `problems`."""
    if isinstance(node, MappingNode):
        return {key.value: _construct(value, yaml, problems) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_construct(item, yaml, problems) for item in node.value]
    try:
        if str(node.tag) in _VALUES:
            value = yaml.constructor.construct_object(node)
            if isinstance(value, int) and abs(value) > LARGEST:
                problems.append((_start(node), f"{node.value[:20]}... is too large a number"))
            return value
        node.value.encode()
    except (ValueError, LookupError, OverflowError):
        problems.append((_start(node), f"{found(node.value)} is not a value of type {str(node.tag).split(':')[-1]}"))
    return node.value


class Mistakes:
    """Collects what is wrong with a document, so that one reading tells all of it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: list[tuple[Place, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, path: Path, message: str) -> None:
        """Note a mistake at the value that `path` leads to."""
        self._found.append((self.document.place(path) or (1, 1), self.document.problem(path, message)))

    def check(self, model: type[Model], path: Path = ()) -> Model | None:
        """The data at `path` as a `model`, types taken strictly; None where that failed, every reason noted.

        Unknown keys are told only for models whose configuration has extra="forbid".
        """
        for depth, part in enumerate(path):
            if not has(self.document.at(path[:depth]), part):
                self.add(path[:depth], f"missing key {part!r}")
                return None
        data = self.document.at(path)
        try:
            # Strict JSON, not strict Python: lists may fill tuples, and whole numbers may be numbers.
            return model.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            for below, message in told(model, data, error):
                self.add(path + below, message)
        except UserError as error:
            for message in error.messages:
                self.add(path, message)
        return None

    def raise_if_any(self) -> None:
        """Raise UserError with all mistakes, first to last in the document."""
        if self._found:
            ordered = sorted(self._found, key=lambda item: item[0])
            raise UserError(*dict.fromkeys(message for _, message in ordered))
