"""Budgets: caps and bands on what a network may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from archspace.closed_form import Cost
from archspace.errors import BudgetError
from archspace.memory import training_memory

UNITS = {"flop": "flops", "mac": "macs", "param": "params", "act": "acts"}
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SECONDS = {"s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "μs": Decimal("1e-6")}
BATCH = 32
"""Images in a training step where nothing else is said: the default recipe's."""
_FORM = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[a-zµμ/]+)\s*"
    r"(?:(?:±|\+-|\+/-)\s*(?P<band>\d+(?:\.\d+)?)\s*%)?",
    re.IGNORECASE,
)
_EXAMPLES = "write 4GFLOPs, 600MFLOPs, 4GMACs, 25Mparams, 8GiB or 5ms, with ±2% or +-2% behind it for a band"
_AMBIGUOUS = {
    r"[kmgt]?ops?": "an operation may be a multiply-add or half of one: FLOPs are fvcore's count, one for each "
    "multiply-add; MACs are those of convolutions and linear layers alone",
    r"[kmgt]?(flops/s|flopsps)": "that is a speed; FLOPs count the work for one image",
    r"[kmgt]i?b": "is that bits, bytes or billions? Bytes of training memory are GB or GiB, parameters Mparams",
    r"b": "is that bytes or billions? Bytes of training memory are GB or GiB, parameters Mparams",
    r"[kmgt]": "of what? A unit is missing",
    r"m|min|h": "a latency is in s, ms or us",
}


@dataclass(frozen=True)
class Latency:
    """Seconds for a batch, t = a + b x macs + c x acts of one image, as calibrated for one device and setting."""

    a: float
    b: float
    c: float
    device: str
    threads: int
    batch: int
    dtype: str
    layout: str
    machine: str

    def of(self, cost: Cost) -> Any:
        """The prediction for a network."""
        return self.a + self.b * cost.macs + self.c * cost.acts


@dataclass(frozen=True)
class Conditions:
    """Where costs hold that are not the network's alone: images in a training step, and how to get a Latency."""

    batch: int = BATCH
    latency: Callable[[], Latency] | Latency | None = None


@dataclass(frozen=True)
class Limit:
    """`low` <= measure <= `high`, in units of the measure, both ends allowed.

    Training memory holds at `batch` images a step, latency is that of `predicted`.
    """

    measure: str
    low: float
    high: float
    batch: int = 0
    predicted: Latency | None = None

    @property
    def inexact(self) -> bool:
        """Whether the measure is no whole number."""
        return self.predicted is not None

    def of(self, cost: Cost) -> Any:
        """What is limited of a cost, which may be made of unknowns."""
        if self.predicted is not None:
            return self.predicted.of(cost)
        return training_memory(cost, self.batch) if self.measure == "training_memory" else getattr(cost, self.measure)

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


MOST = 10**18
"""In a measure's own unit; more is a slip of the keyboard."""


def parse_budget(texts: Iterable[str], conditions: Conditions | None = None) -> Budget:
    """The budget that these texts spell, each one limit or several with commas; raises BudgetError.

    `flops` are fvcore's count, `macs` multiply-adds of convolutions and linear layers; see Cost. Bytes limit the memory
    of a training step, seconds the latency that a calibration predicts; `conditions` say which.
    """
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    if not words:
        raise BudgetError(f"budget: nothing given; {_EXAMPLES}")
    return _joined((_parse_limit(word, conditions or Conditions()) for word in words), tuple(words))


def combined(budget: Budget, other: Budget) -> Budget:
    """Both budgets at once, the first one's objective and conditions kept; raises BudgetError where they exclude each
    other.
    """
    return _joined(budget.limits + other.limits, budget.text + other.text)


def _joined(limits: Iterable[Limit], text: tuple[str, ...]) -> Budget:
    joined: dict[str, Limit] = {}
    for limit in limits:
        other = joined.get(limit.measure, limit)
        both = replace(other, low=max(limit.low, other.low), high=min(limit.high, other.high))
        if both.low > both.high:
            raise BudgetError(f"budget: {' and '.join(text)} exclude each other in {limit.measure}")
        joined[limit.measure] = both
    return Budget(tuple(joined.values()), text)


def _parse_limit(word: str, conditions: Conditions) -> Limit:
    match = _FORM.fullmatch(word)
    if match is None:
        if re.fullmatch(r"[\d.]+", word):
            raise BudgetError(f"budget {word!r}: of what? A unit is missing; {_EXAMPLES}")
        raise BudgetError(f"budget {word!r} cannot be read; {_EXAMPLES}")
    measure, size = _unit(word, match["unit"])
    value = Decimal(match["number"]) * size
    share = Decimal(match["band"] or 0) / 100
    if share >= 1:
        raise BudgetError(f"budget {word!r}: a band of {match['band']} % reaches zero; use a cap instead")
    if value > MOST:
        raise BudgetError(f"budget {word!r}: more than any network takes; write fewer digits")
    least, most = value * (1 - share), value * (1 + share)
    if measure == "latency":
        if value <= 0:
            raise BudgetError(f"budget {word!r}: must be above zero")
        if conditions.latency is None:
            raise BudgetError(f"budget {word!r}: a latency holds for a device; none can be told here")
        known = conditions.latency if isinstance(conditions.latency, Latency) else conditions.latency()
        return Limit(measure, float(least) if match["band"] else 0, float(most), 0, known)
    low, high = math.ceil(least), math.floor(most)
    if value <= 0 or high < 1:
        raise BudgetError(f"budget {word!r}: must be above zero")
    if low > high:
        raise BudgetError(f"budget {word!r}: no whole number lies in this band; widen it")
    batch = conditions.batch if measure == "training_memory" else 0
    return Limit(measure, low if match["band"] else 0, high, batch)


def _unit(word: str, unit: str) -> tuple[str, Decimal]:
    """The measure that a unit stands for, and its size; raises BudgetError where it may stand for several."""
    if unit in BYTES:
        return "training_memory", Decimal(BYTES[unit])
    if unit in SECONDS:
        return "latency", SECONDS[unit]
    known = re.fullmatch(r"([kmgt]?)(flop|mac|param|act)s?", unit, re.IGNORECASE)
    if known:
        return UNITS[known[2].lower()], Decimal(PREFIXES[known[1].lower()])
    for form, why in _AMBIGUOUS.items():
        if re.fullmatch(form, unit, re.IGNORECASE):
            raise BudgetError(f"budget {word!r}: {why}; {_EXAMPLES}")
    raise BudgetError(f"budget {word!r} cannot be read; {_EXAMPLES}")
