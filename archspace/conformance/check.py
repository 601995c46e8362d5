"""A check: one promise of block families, and how it is tried on each of a family's sample genes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from archspace.blocks.registry import Family, families

Trial = Callable[[Family, Any], Iterator[str]]
"""Tries a promise on one setting of a family's genes, and gives what is wrong."""
Find = Callable[[Family], Iterator[str]]


@dataclass(frozen=True)
class Check:
    """One promise of every block family, in a sentence, and the search for what breaks it."""

    name: str
    promise: str
    find: Find

    def problems(self, family: Family) -> list[str]:
        """What is wrong with a family, each with the genes that show it; empty where the promise holds.

        The family need not be registered: while it is checked, it stands in the registry under its name.
        """
        if not family.sample_genes:
            return ["sample_genes is empty, so nothing can be checked; give a few that are valid at a width of 64"]
        with _registered(family):
            return list(_caught(self.find(family)))


def over_samples(trial: Trial) -> Find:
    """A search that tries every sample gene, each failure told with the genes that led to it."""

    def find(family: Family) -> Iterator[str]:
        for genes in family.sample_genes:
            yield from (f"{genes}: {problem}" for problem in _caught(trial(family, genes)))

    return find


def _caught(found: Iterator[str]) -> Iterator[str]:
    """The problems found, and as the last of them the exception that ended the search, if one did."""
    try:
        yield from found
    except Exception as error:
        yield f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@contextmanager
def _registered(family: Family) -> Iterator[None]:
    """The family in the registry under its name, afterwards what was there before."""
    known = families()
    before = known.get(family.name)
    known[family.name] = family
    try:
        yield
    finally:
        if before is None:
            del known[family.name]
        else:
            known[family.name] = before
