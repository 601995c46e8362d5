"""What pydantic finds wrong with plain data, in plain words and at its place in the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from archspace.errors import did_you_mean

Path = tuple[str | int, ...]
"""Keys and list indices from the top of a document to a value."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "null",
}
_LIMITS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
}


def unknown_key(name: str, known: Iterable[str]) -> str:
    """The message for a key that nothing reads, with the closest known one."""
    choices = sorted(known)
    return f"unknown key{did_you_mean(name, choices)}; known keys are {', '.join(choices)}"


def found(value: object) -> str:
    """A value as a message shows it."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True)
class _Wrong:
    """One error of pydantic's in plain words: a whole message, or what was expected and what was found instead."""

    path: Path
    message: str
    expected: str = ""

    @staticmethod
    def read(model: type[BaseModel], data: object, error: Mapping[str, Any]) -> _Wrong:
        kind, context, seen = error["type"], error.get("ctx", {}), found(error["input"])
        location: Path = error["loc"]
        path = _existing(data, location)
        if kind == "missing":
            return _Wrong(_existing(data, location[:-1]), f"missing key {location[-1]!r}")
        if kind == "extra_forbidden":
            return _Wrong(path, unknown_key(str(location[-1]), _known_keys(model, location[:-1])))
        if kind == "union_tag_not_found":
            return _Wrong(path, f"missing key {context['discriminator']}")
        if kind == "union_tag_invalid":
            choices, tag = re.findall(r"'([^']*)'", context["expected_tags"]), context["tag"]
            key = _existing(data, (*location, context["discriminator"].strip("'")))
            hint = did_you_mean(tag, choices)
            return _Wrong(key, f"expected {' or '.join(map(repr, choices))}, found {tag!r}{hint}")
        if kind in ("literal_error", "enum"):
            hint = did_you_mean(error["input"], re.findall(r"'([^']*)'", context["expected"]))
            return _Wrong(path, f", found {seen}{hint}", context["expected"])
        if kind in _EXPECTED:
            return _Wrong(path, f", found {seen}", _EXPECTED[kind])
        if kind in _LIMITS:
            return _Wrong(path, f"must be {_LIMITS[kind].format(**context)}, not {seen}")
        if kind in ("too_short", "too_long"):
            bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
            return _Wrong(path, f"{context['actual_length']} items here; must be {bound}")
        among = getattr(context.get("error"), "fields", ())  # of values that do not go together, one that is given
        path = (*path, *[field for field in among if has(data, field)][:1])
        return _Wrong(path, str(error["msg"]).removeprefix("Value error, "))


def told(model: type[BaseModel], data: object, error: ValidationError) -> Iterator[tuple[Path, str]]:
    """One path and message per mistake: of a union's members, those that fit the data best speak together."""
    wrong = [_Wrong.read(model, data, item) for item in error.errors(include_url=False)]
    entered = {item.path[:depth] for item in wrong for depth in range(len(item.path))}
    entered |= {item.path for item in wrong if not item.expected}
    together: dict[Path, list[_Wrong]] = {}
    for item in wrong:
        if not item.expected:
            yield item.path, item.message
        elif item.path not in entered:
            together.setdefault(item.path, []).append(item)
    for path, items in together.items():
        choices = " or ".join(dict.fromkeys(item.expected for item in items))
        yield path, f"expected {choices}{max((item.message for item in items), key=len)}"


def has(data: object, part: str | int) -> bool:
    """Whether `part` leads anywhere from plain data."""
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and 0 <= part < len(data)


def _existing(data: Any, location: Path) -> Path:
    """The parts of pydantic's `loc` that lead through the data; names of union members do not."""
    path: Path = ()
    for part in location:
        if has(data, part):
            data, path = data[part], (*path, part)
    return path


def _known_keys(model: type[BaseModel], location: Path) -> list[str]:
    """The keys of the models that pydantic's `loc` leads to."""
    types: list[Any] = [model]
    for part in location:
        inner = [member for kind in types for member in _inside(kind, part)]
        types = inner or [kind for kind in types if _is_tagged(kind, part)] or types
    models = [kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return list(dict.fromkeys(item.alias or name for kind in models for name, item in kind.model_fields.items()))


def _inside(kind: Any, part: str | int) -> list[Any]:
    """The types that `part` leads to from a model, a list or a mapping, unions taken apart."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found = [item.annotation for name, item in kind.model_fields.items() if (item.alias or name) == part]
    elif get_origin(kind) in (list, tuple):
        found = list(get_args(kind)) if isinstance(part, int) else []
    else:
        found = [get_args(kind)[1]] if get_origin(kind) is dict else []
    return [member for annotation in found for member in _members(annotation)]


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]


def _is_tagged(kind: Any, tag: str | int) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    literals = [item.annotation for item in kind.model_fields.values() if get_origin(item.annotation) is Literal]
    return kind.__name__ == tag or any(tag in get_args(literal) for literal in literals)
