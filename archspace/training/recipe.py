"""Recipes: how a network is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archspace.errors import UserError


class Recipe(BaseModel):
    """SGD with Nesterov momentum, cosine schedule after a linear warm-up, label smoothing.

    `lr` is the peak rate for mini-batches of `batch` images; `warmup` and `epochs` are in epochs; `rungs` are the
    epochs after which trials are compared, the last of them `epochs` itself. Weight decay spares norms and biases.
    `norm_batches`: mini-batches from which batch-norm statistics are taken anew before each evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: Annotated[int, Field(ge=1)] = 3
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = (1, 3)
    batch: Annotated[int, Field(ge=2)] = 32
    lr: Annotated[float, Field(gt=0)] = 0.03
    warmup: Annotated[float, Field(ge=0)] = 0.2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    norm_batches: Annotated[int, Field(ge=1)] = 32
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @model_validator(mode="after")
    def _rungs_rise_to_the_last_epoch(self) -> Recipe:
        if list(self.rungs) != sorted(set(self.rungs)) or self.rungs[-1:] != (self.epochs,):
            raise ValueError(f"rungs {list(self.rungs)} must rise and end at epochs = {self.epochs}")
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup of {self.warmup} epochs must be shorter than epochs = {self.epochs}")
        return self


def default_rungs(epochs: int) -> tuple[int, ...]:
    """Rungs a factor of 3 apart that end at `epochs`: 3 -> (1, 3), 10 -> (1, 3, 10), 30 -> (1, 3, 10, 30)."""
    rungs = [epochs]
    while rungs[0] >= 3:
        rungs.insert(0, rungs[0] // 3)
    return tuple(rungs)


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with `recipe.KEY=VALUE` settings applied; changed epochs bring their own rungs. Raises UserError."""
    changes: dict[str, str | list[str]] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        section, _, name = key.strip().partition(".")
        if not equals or section != "recipe" or name not in Recipe.model_fields:
            known = ", ".join(f"recipe.{field}" for field in Recipe.model_fields)
            raise UserError(f"--set {setting}: expected recipe.KEY=VALUE with one of {known}")
        changes[name] = value.strip().strip("[]").split(",") if name == "rungs" else value.strip()
    if "epochs" in changes and "rungs" not in changes and str(changes["epochs"]).isdigit():
        changes["rungs"] = [str(rung) for rung in default_rungs(int(str(changes["epochs"])))]
    try:
        return Recipe.model_validate({**recipe.model_dump(), **changes})
    except ValidationError as error:
        raise UserError(*(_spoken(item["loc"], item["msg"]) for item in error.errors())) from None


def _spoken(location: tuple[str | int, ...], message: str) -> str:
    where = ".".join(("recipe", *(str(part) for part in location)))
    return f"--set {where}: {message.removeprefix('Value error, ')}"
