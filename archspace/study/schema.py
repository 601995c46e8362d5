"""What a study file holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from archspace.training.recipefile import DEFAULT

_Positive = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]


def _without_slash(name: str) -> str:
    if not name or "/" in name:
        raise ValueError("an arm's name is part of its trainings' names, between slashes; give it one without a `/`")
    return name


_ArmName = Annotated[str, AfterValidator(_without_slash)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Strata(_Part):
    """Parts of the cost range, equal in the logarithm, and of each by shape (blocks over mean width)."""

    cost: _Count = 1
    shape: Literal[1, 2] = 1


class Anchors(_Part):
    """The base genomes: drawn from `space` within `cost`, `per_stratum` times `scale` of the study in each stratum."""

    space: str
    cost: Annotated[list[str], Field(min_length=2, max_length=2)]
    strata: Strata = Strata()
    per_stratum: _Count


class Match(_Part):
    """Which cost the arms of an anchor share: `ratio` is its range over the anchor's own, `tolerance` a fraction.

    A latency is predicted by a `calibration` that `archspace profile --calibrate` made, this device's if left out.
    """

    measure: Literal["flops", "macs", "params", "latency"] = "flops"
    calibration: str | None = None
    ratio: Annotated[list[_Positive], Field(min_length=2, max_length=2)] = [1.8, 2.2]
    tolerance: Annotated[float, Field(gt=0, lt=0.2)] = 0.01


class Arm(_Part):
    """How an anchor is changed: values that are `set`, genes that cost is spent on, genes that may `trim` the rest.

    `spend` moves all genes of an axis by one factor; `trim` lets others move by at most the tolerance that it names.
    An arm that says nothing is the anchor itself.
    """

    set: dict[str, Any] = {}
    spend: str | None = None
    trim: dict[str, Annotated[float, Field(gt=0, lt=0.5)]] = {}

    @property
    def matched(self) -> bool:
        """Whether the arm is brought to the cost that arms share."""
        return self.spend is not None


class Rates(_Part):
    """The rates that each cell, an arm in a cost stratum, tries at its median anchor, on so many seeds of its own."""

    grid: Annotated[list[_Positive], Field(min_length=1)]
    seeds: _Count = 1


class Contrast(_Part):
    """Two arms that are compared: a minus b."""

    a: str
    b: str


class StudyFile(_Part):
    """The content of a study file."""

    name: str
    about: str = ""
    question: str
    anchors: Anchors
    match: Match = Match()
    arms: Annotated[dict[_ArmName, Arm], Field(min_length=2)]
    task: str
    task_options: dict[str, int | str] = {}
    recipe: str = DEFAULT
    settings: dict[str, Any] = {}
    rates: Rates
    seeds: _Count
    contrasts: Annotated[list[Contrast], Field(min_length=1)]
    margin: _Positive
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    scale: _Positive = 1.0
    seed: int = 0
