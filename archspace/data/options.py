"""What a task's KEY=VALUE options may say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from archspace.errors import UserError
from archspace.plainwords import told


def _amount(value: int | float) -> int | float:
    if value <= 0 or (isinstance(value, float) and not value < 1):
        raise ValueError(f"expected a number of images (5000) or a fraction below 1 (0.1), found {value}")
    return value


def absolute(path: str) -> Path:
    """A path as users write it, `~` included; a user who is not there stays as written."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111  # Path.expanduser raises RuntimeError there


def _absolute(value: object) -> str:
    return str(absolute(str(value)))


TEXTS = ("path",)
"""Options that stay as they were typed: a folder may be called 007."""
Amount = Annotated[int | float, AfterValidator(_amount)]
"""A number of images, or a fraction of those there are."""


class Options(BaseModel):
    """What every task of images takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int | None = Field(default=None, ge=4, le=1024)
    """Pixels of the square that images are brought to; None: the data set's own."""
    train: int | None = Field(default=None, ge=2)
    """How many train images are kept; None: all."""
    val: Amount | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)


class NamedOptions(Options):
    """What a published data set takes, whose test split is given."""

    path: Annotated[str, BeforeValidator(_absolute)] | None = None


class FileOptions(Options):
    """What a data set of one's own takes."""

    test: Amount | None = None
    colour: Literal["rgb", "grey"] = "rgb"


AnyOptions = TypeVar("AnyOptions", bound=Options)


def read_options(model: type[AnyOptions], task: str, options: Mapping[str, str]) -> AnyOptions:
    """The options of a task; raises UserError with every mistake."""
    data = {key: text if key in TEXTS else _value(text) for key, text in options.items()}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        mistakes = [(path[0] if path else "", message) for path, message in told(model, data, error)]
    raise UserError(*(f"task {task}: option {key}: {message}" for key, message in mistakes))


def written(options: Options) -> list[str]:
    """Options as KEY=VALUE in the order of their names, what is as usual left out."""
    return [f"{key}={value}" for key, value in sorted(options.model_dump(exclude_defaults=True).items())]


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
