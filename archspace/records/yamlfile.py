"""Frozen configurations as YAML files: for people to read, and for a resume."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from archspace.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def write_model(model: BaseModel, path: Path) -> None:
    """Write a model as YAML, whole or not at all."""
    text = io.StringIO()
    YAML().dump(model.model_dump(mode="json"), text)
    part = path.with_name(path.name + ".part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)


def read_model(kind: type[Model], path: Path, newest: int, what: str) -> Model:
    """The model in a file of `what`, a run say; raises UserError if it is missing, broken or above format `newest`."""
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent}: not a {what}: it has no {path.name}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (YAMLError, ValueError) as error:  # bytes that are no text, numbers of thousands of digits
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = data.get("format") if isinstance(data, dict) else None
    if not isinstance(found, int):
        raise UserError(f"{path}: not a {what}'s configuration: it names no format")
    if found > newest:
        raise UserError(
            f"{path}: written by a newer archspace (format {found}, this one reads {newest}); upgrade archspace"
        )
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {place}: {first['msg']}; the file was changed by hand or is damaged") from None
