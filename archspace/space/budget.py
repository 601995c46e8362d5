"""Budgets: caps and bands on what a network may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from archspace.costs import Cost
from archspace.errors import BudgetError
from archspace.units import UNITS as UNITS_OF

UNITS = {"flop": "flops", "mac": "macs", "param": "params", "act": "acts"}
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_FORM = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<prefix>[kmgt]?)(?P<unit>flop|mac|param|act)s?"
    r"\s*(?:(?:±|\+-|\+/-)\s*(?P<band>\d+(?:\.\d+)?)\s*%)?",
    re.IGNORECASE,
)
_EXAMPLES = "write 4GFLOPs, 600MFLOPs, 4GMACs or 25Mparams, with ±2% or +-2% behind it for a band"


@dataclass(frozen=True)
class Limit:
    """`low` <= measure <= `high`, in units of the measure, both ends allowed."""

    measure: str
    low: float
    high: float

    @property
    def inexact(self) -> bool:
        """Whether the measure is no whole number."""
        return self.measure == "latency"

    @property
    def unit(self) -> str:
        """The printed unit of the measure."""
        return UNITS_OF[self.measure]

    def of(self, cost: Cost) -> Any:
        """What is limited of a cost, which may be made of unknowns."""
        return getattr(cost, self.measure)

    def allows(self, cost: Cost) -> bool:
        """Whether the cost lies between the ends."""
        return bool(self.low <= self.of(cost) <= self.high)


@dataclass(frozen=True)
class Budget:
    """Limits that hold together; the first one's measure is the cost objective of a search."""

    limits: tuple[Limit, ...] = ()
    text: tuple[str, ...] = ()

    def allows(self, cost: Cost) -> bool:
        """Whether every limit holds, exactly."""
        return all(limit.allows(cost) for limit in self.limits)

    def __str__(self) -> str:
        return ", ".join(self.text)


def parse_budget(texts: Iterable[str]) -> Budget:
    """The budget that these texts spell, each one limit or several with commas; raises BudgetError.

    `flops` are fvcore's count, `macs` multiply-adds of convolutions and linear layers; see Cost.
    """
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    if not words:
        raise BudgetError(f"budget: nothing given; {_EXAMPLES}")
    return _joined((_parse_limit(word) for word in words), tuple(words))


def combined(budget: Budget, other: Budget) -> Budget:
    """Both budgets at once, the first one's objective kept; raises BudgetError where they exclude each other."""
    return _joined(budget.limits + other.limits, budget.text + other.text)


def _joined(limits: Iterable[Limit], text: tuple[str, ...]) -> Budget:
    joined: dict[str, Limit] = {}
    for limit in limits:
        other = joined.get(limit.measure, limit)
        both = Limit(limit.measure, max(limit.low, other.low), min(limit.high, other.high))
        if both.low > both.high:
            raise BudgetError(f"budget: {' and '.join(text)} exclude each other in {limit.measure}")
        joined[limit.measure] = both
    return Budget(tuple(joined.values()), text)


def _parse_limit(word: str) -> Limit:
    match = _FORM.fullmatch(word)
    if match is None:
        if re.fullmatch(r"[\d.]+\s*[kmgt]?b?", word, re.IGNORECASE):
            raise BudgetError(f"budget {word!r}: of what? A unit is missing; {_EXAMPLES}")
        raise BudgetError(f"budget {word!r} cannot be read; {_EXAMPLES}")
    value = Decimal(match["number"]) * PREFIXES[match["prefix"].lower()]
    share = Decimal(match["band"] or 0) / 100
    low, high = math.ceil(value * (1 - share)), math.floor(value * (1 + share))
    if value <= 0 or high < 1:
        raise BudgetError(f"budget {word!r}: must be above zero")
    if share >= 1:
        raise BudgetError(f"budget {word!r}: a band of {match['band']} % reaches zero; use a cap instead")
    if low > high:
        raise BudgetError(f"budget {word!r}: no whole number lies in this band; widen it")
    return Limit(UNITS[match["unit"].lower()], low if match["band"] else 0, high)
