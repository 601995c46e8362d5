"""All checks, and a family run through them."""

from __future__ import annotations

from collections.abc import Callable

from archspace.blocks.registry import Family
from archspace.conformance import described, handover, running, skipping
from archspace.conformance.check import Check, Find, over_samples

TRIALS = (
    described.genes,
    described.file,
    described.cost,
    described.memory,
    described.flags,
    described.padding,
    running.gradients,
    running.company,
    running.modes,
    running.memory_format,
    running.seeds,
    running.edges,
    skipping.survival,
)


def checks() -> tuple[Check, ...]:
    """Every check, those that read what a family says first, those that run its networks next."""
    each = [_check(trial, over_samples(trial)) for trial in TRIALS]
    return (*each, _check(handover.export, handover.export))


def problems(family: Family) -> list[str]:
    """Everything that is wrong with a family, each under the name of its check; empty where all promises hold."""
    return [f"{family.name}: {check.name}: {problem}" for check in checks() for problem in check.problems(family)]


def _check(function: Callable[..., object], find: Find) -> Check:
    """A check that is called as its function, and promises what the docstring says."""
    return Check(function.__name__.replace("_", "-"), str(function.__doc__), find)
