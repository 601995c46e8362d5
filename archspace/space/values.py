"""One value of a space file: fixed, a range, or choices; shared by all stages or drawn for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from archspace.document import Mistakes
from archspace.document import Path as Place
from archspace.plainwords import told
from archspace.space.space import Gene, Slot, Value

Number = int | Annotated[float, Field(allow_inf_nan=False)]
MOST = 10_000
"""More values than this in one range are a slip of the keyboard."""


class _Shared(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    per: Literal["stage"] | None = None
    times: list[Annotated[int, Field(ge=1)]] | None = None


class _Range(_Shared):
    range: Annotated[list[Number], Field(min_length=2, max_length=2)]
    step: Annotated[Number, Field(gt=0)] = 1
    log: bool = False


class _Choices(_Shared):
    choices: Annotated[list[Number | str], Field(min_length=1)]


def read_value(spec: Any, hint: Any, place: Place, name: str, mistakes: Mistakes, genes: list[Gene]) -> Slot:
    """The slot of a value that is not one of a stage; what varies is added to `genes`."""
    if isinstance(spec, dict) and "per" in spec:
        mistakes.add((*place, "per"), "only values under `stages` can be drawn per stage; leave this out")
    return _read(spec, hint, place, (name,), (0,), mistakes, genes)[0]


def read_stage_values(
    spec: Any, hint: Any, place: Place, name: str, number: int, mistakes: Mistakes, genes: list[Gene]
) -> list[Slot]:
    """One slot for each of `number` stages; what varies is added to `genes`, as `name` or `name.1`, `name.2`, ..."""
    names = tuple(f"{name}.{stage}" for stage in range(1, number + 1))
    if not isinstance(spec, list):
        separate = isinstance(spec, dict) and spec.get("per") == "stage"
        return _read(spec, hint, place, names if separate else (name,) * number, range(number), mistakes, genes)
    if len(spec) != number:
        mistakes.add(place, f"a list here gives one value per stage: expected {number}, found {len(spec)}")
        return [Slot()] * number
    slots: list[Slot] = []
    for index, item in enumerate(spec):
        slots += _read(item, hint, (*place, index), (names[index],), (0,), mistakes, genes)
    return slots


def _read(
    spec: Any,
    hint: Any,
    place: Place,
    names: tuple[str, ...],
    stages: Sequence[int],
    mistakes: Mistakes,
    genes: list[Gene],
) -> list[Slot]:
    if not isinstance(spec, dict):
        return [Slot(_as(spec, hint)) if _typed(spec, hint, place, mistakes) else Slot()] * len(names)
    shared: _Range | _Choices | None
    if "choices" in spec and "range" not in spec:
        shared = mistakes.check(_Choices, place)
        values: tuple[Value, ...] = () if shared is None else _choices(shared, hint, place, mistakes)
        log = False
    else:
        shared = mistakes.check(_Range, place)
        values = () if shared is None else _range(shared, hint, place, mistakes)
        log = shared is not None and shared.log
    factors = shared.times if shared is not None and shared.times else [1] * len(names)
    if len(factors) != len(names):
        mistakes.add((*place, "times"), f"expected one factor per stage ({len(names)}), found {len(factors)}")
        return [Slot()] * len(names)
    if not values:
        return [Slot()] * len(names)
    genes.extend(Gene(name, values, log) for name in dict.fromkeys(names))
    return [Slot(gene=name, factor=factors[stage]) for name, stage in zip(names, stages, strict=True)]


def _range(spec: _Range, hint: Any, place: Place, mistakes: Mistakes) -> tuple[Value, ...]:
    right = [_typed(end, hint, (*place, "range", index), mistakes) for index, end in enumerate(spec.range)]
    if "step" in spec.model_fields_set:
        right.append(_typed(spec.step, hint, (*place, "step"), mistakes))
    if not all(right):
        return ()
    (low, high), step = (Decimal(str(end)) for end in spec.range), Decimal(str(spec.step))
    problem = ""
    if high < low:
        problem = f"empty range: {low} is above {high}; swap them"
    elif (high - low) / step >= MOST:
        problem = f"more than {MOST} values; take a larger step"
    elif (high - low) % step:
        problem = f"steps of {step} from {low} end at {high - (high - low) % step}; end the range there"
    elif spec.log and low <= 0:
        problem = "a log scale needs a range above zero"
    if problem:
        mistakes.add((*place, "range"), problem)
        return ()
    whole = hint is not float and all(isinstance(number, int) for number in (*spec.range, spec.step))
    numbers = (low + index * step for index in range(int((high - low) / step) + 1))
    return tuple(int(number) if whole else float(number) for number in numbers)


def _choices(spec: _Choices, hint: Any, place: Place, mistakes: Mistakes) -> tuple[Value, ...]:
    right = [_typed(choice, hint, (*place, "choices", index), mistakes) for index, choice in enumerate(spec.choices)]
    for index, choice in enumerate(spec.choices):
        if choice in spec.choices[:index]:
            mistakes.add((*place, "choices", index), f"{choice!r} is here twice; keep one")
            right.append(False)
    if not all(right):
        return ()
    choices = [_as(choice, hint) for choice in spec.choices]
    numbers = [choice for choice in choices if not isinstance(choice, str)]
    return tuple(sorted(numbers)) if len(numbers) == len(choices) else tuple(choices)


def _as(value: Any, hint: Any) -> Any:
    """A value as its gene has it: a whole number stands for a real one too, and both must give the same id."""
    return float(value) if hint is float and isinstance(value, int) else value


def _typed(value: Any, hint: Any, place: Place, mistakes: Mistakes) -> bool:
    """Whether `value` is of the type `hint`, else a mistake is noted; whole numbers in genomes are at least 1."""
    model: type[RootModel[Any]] = RootModel[hint]
    try:
        known = model.model_validate_json(json.dumps(value), strict=True).root
    except ValidationError as error:
        for below, message in told(model, value, error):
            mistakes.add(place + below, message)
        return False
    if isinstance(known, int) and not isinstance(known, bool) and known < 1:
        mistakes.add(place, f"must be at least 1, not {value}")
        return False
    return True
