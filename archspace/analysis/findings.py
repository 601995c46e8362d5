"""What a study found out about its contrasts, as plain data."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from archspace.analysis.contrasts import Contrast, Kind
from archspace.analysis.equivalence import Precision
from archspace.analysis.mixed import Mixed

Verdict = Literal["superior", "inferior", "equivalent", "inconclusive"]
Test = Literal["sign-flip", "Student's"]


@dataclass(frozen=True)
class Rules:
    """What a study registers before its results are seen.

    `margin` is the largest effect that makes no difference, in the effect's unit: percentage points of error per
    doubling of cost, plain ones at equal cost. `draws` are those of the bootstrap, 0 for none; `permutations` those of
    the sign-flip test beyond 14 anchors; `mixed` fits the mixed model too. Bootstrap and model decide no verdict.
    """

    margin: float
    alpha: float = 0.05
    confidence: float = 0.95
    power: float = 0.8
    seed: int = 0
    draws: int = 2_000
    permutations: int = 9_999
    mixed: bool = True


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; the ends are not-a-number where none was asked for."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PValues:
    """p-values of a contrast: against no effect and against the margin, each with Holm.

    `difference` is that of sign flips, or, with test images given or rates tuned in cells, Student's if it is larger;
    `equivalence` that of two one-sided tests, 1 where so many trainings failed that it is not judged.
    """

    difference: float
    difference_holm: float
    equivalence: float
    equivalence_holm: float


@dataclass(frozen=True)
class Finding:
    """All about one contrast; `effect` and whatever has its unit in percentage points, below zero where a is better.

    `effect` has the interval that decides: Student's over anchors, or over cells where these took different rates, with
    the images' part where images were given; `test` is the one that `p.difference` is of.
    `bootstrap` is the hierarchical one around the same effect, `middle` the interquartile mean of anchors' effects,
    `better` the probability that a training of a beats one of b. `smallest_seen` is the effect that the study would
    have seen with the power asked for, None where its anchors could never reach alpha; `more_anchors` how many more
    an inconclusive contrast needs, None where no number is known. `failures` are those of a and of b.
    """

    contrast: Contrast
    kind: Kind
    base: Literal["a", "b"] | None
    unit: str
    verdict: Verdict
    effect: Estimate
    known: Precision
    p: PValues
    test: Test
    bootstrap: Estimate
    middle: Estimate
    better: Estimate
    mixed: Mixed | None
    smallest_seen: float | None
    more_anchors: int | None
    anchors: tuple[str, ...]
    strata: tuple[str, ...]
    effects: tuple[float, ...]
    seeds: tuple[int, ...]
    failures: tuple[int, int]
    headline: str
    statement: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """The findings of a study, in the order of its contrasts, with the rules that they were judged by."""

    rules: Rules
    findings: tuple[Finding, ...]


def to_json(found: Any) -> Any:
    """Dataclasses as dicts, tuples and arrays as lists, what is not finite as None: `json.dumps` takes it as it is."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return {field.name: to_json(getattr(found, field.name)) for field in dataclasses.fields(found)}
    if isinstance(found, dict):
        return {str(key): to_json(value) for key, value in found.items()}
    if isinstance(found, tuple | list | np.ndarray):
        return [to_json(value) for value in found]
    if isinstance(found, np.generic):
        return to_json(found.item())
    return None if isinstance(found, float) and not math.isfinite(found) else found
