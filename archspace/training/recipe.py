"""Recipes: how a network is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archspace.errors import UserError

_Share = Annotated[float, Field(ge=0, lt=1)]
_MOST = 1_000_000  # more epochs or images than anybody trains with: a slip of the keyboard
_Count = Annotated[int, Field(ge=1, le=_MOST)]
_Pixels = Annotated[int, Field(ge=0)]


class Disagreement(ValueError):  # noqa: N818
    """Values that do not go together: those of `fields`, in the order in which a message would point at one."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


class Recipe(BaseModel):
    """SGD with momentum, a schedule after a linear warm-up, label smoothing, and what is done to images.

    `lr` is the peak rate, for mini-batches of `batch` images; where `lr_batch` is given, it is that for mini-batches of
    so many images and grows in proportion with `batch` (Goyal et al. 2017, 1706.02677, Section 2.1). The schedule is
    half a `cosine` to zero, or `steps`: from each of the `milestones` (fractions of `epochs`) on, a tenth. `warmup` and
    `epochs` are in epochs; `rungs` are the epochs after which trials are compared, the last is `epochs` itself; the
    warm-up is over by the first. Weight decay spares norms and biases unless `decay_all`. `clip` is the most that the
    norm of all gradients may be, `ema` the decay per step of an average of weights that is measured and kept instead of
    the last weights; 0 leaves either out.

    Augmentation, each 0 or false where it is left out: `crop` of images padded by so many pixels, `flip` left to right,
    `cutout` of a square of so many pixels (1708.04552), `mixup` (1710.09412) and `cutmix` (1905.04899) with the alpha
    of their Beta distribution; where both are given, each batch takes one of them.

    `norm_batches`: mini-batches from which batch-norm statistics are taken anew before each evaluation. `precision`,
    and `layout` on a GPU, are measured where `auto`; `compile` is torch.compile's where `on`; `graphs` records steps as
    CUDA graphs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: _Count = 3
    rungs: tuple[_Count, ...] = (1, 3)
    batch: Annotated[int, Field(ge=2)] = 32
    lr: Annotated[float, Field(gt=0)] = 0.03
    lr_batch: _Count | None = None
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    warmup: Annotated[float, Field(ge=0)] = 0.2
    momentum: _Share = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    decay_all: bool = False
    clip: Annotated[float, Field(ge=0)] = 0.0
    ema: _Share = 0.0
    label_smoothing: _Share = 0.1
    crop: _Pixels = 0
    flip: bool = False
    cutout: _Pixels = 0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    norm_batches: _Count = 32
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    layout: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: Literal["off", "on", "graphs"] = "off"

    @property
    def peak(self) -> float:
        """The peak learning rate at this recipe's batch."""
        return self.lr * (self.batch / self.lr_batch if self.lr_batch else 1.0)

    @model_validator(mode="after")
    def _lengths_fit(self) -> Recipe:
        epochs = self.epochs
        if list(self.rungs) != sorted(set(self.rungs)) or self.rungs[-1:] != (epochs,):
            raise Disagreement(f"rungs {list(self.rungs)} must rise and end at epochs = {epochs}", "rungs", "epochs")
        warmup = f"warmup of {self.warmup} epochs must be"
        if self.warmup >= epochs:
            raise Disagreement(f"{warmup} shorter than epochs = {epochs}", "warmup", "epochs")
        if self.warmup > self.rungs[0]:
            raise Disagreement(f"{warmup} over by the first rung, epoch {self.rungs[0]}", "warmup", "rungs")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        if (self.schedule == "steps") != bool(self.milestones):
            both = "milestones and schedule: steps go together; give both or none"
            raise Disagreement(both, "milestones", "schedule")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise Disagreement(f"milestones {list(self.milestones)} must rise", "milestones")
        return self


def default_rungs(epochs: int) -> tuple[int, ...]:
    """Rungs a factor of 3 apart that end at `epochs`: 3 -> (1, 3), 10 -> (1, 3, 10), 30 -> (1, 3, 10, 30)."""
    rungs = [epochs]
    while rungs[0] >= 3:
        rungs.insert(0, rungs[0] // 3)
    return tuple(rungs)


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with `recipe.KEY=VALUE` settings applied.

    Changed epochs bring their own rungs, and so does a changed warm-up where they were the usual ones.
    Raises UserError.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        section, _, name = key.strip().partition(".")
        if not equals or section != "recipe" or name not in Recipe.model_fields:
            known = ", ".join(f"recipe.{field}" for field in Recipe.model_fields)
            raise UserError(f"--set {setting}: expected recipe.KEY=VALUE with one of {known}")
        changes[name] = _value(name, value.strip())
    epochs = str(changes.get("epochs", recipe.epochs))
    usual = "epochs" in changes or ("warmup" in changes and recipe.rungs == rungs_for(recipe.epochs, recipe.warmup))
    if "rungs" not in changes and usual and epochs.isdecimal() and len(epochs) <= len(str(_MOST)):
        changes["rungs"] = rungs_for(int(epochs), changes.get("warmup", recipe.warmup))
    try:
        return Recipe.model_validate({**recipe.model_dump(), **changes})
    except ValidationError as error:
        raise UserError(*(_spoken(item["loc"], item["msg"]) for item in error.errors())) from None


def _value(name: str, text: str) -> Any:
    if name in ("rungs", "milestones"):
        return [part for part in text.strip("[]").split(",") if part.strip()]
    return None if text == "none" else text


def rungs_for(epochs: int, warmup: Any) -> tuple[int, ...]:
    """The usual rungs, those left out that come before the warm-up is over."""
    rungs = default_rungs(epochs)
    try:
        return tuple(rung for rung in rungs if rung >= float(warmup)) or rungs
    except (TypeError, ValueError):  # not a number: the recipe says so
        return rungs


def _spoken(location: tuple[str | int, ...], message: str) -> str:
    where = ".".join(("recipe", *(str(part) for part in location)))
    return f"--set {where}: {message.removeprefix('Value error, ')}"
