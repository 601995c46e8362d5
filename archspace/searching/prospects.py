"""The networks that a search may train, before any result is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice

from archspace.closed_form import cost_of
from archspace.data.tasks import Task
from archspace.errors import GenomeError
from archspace.genome import Genome
from archspace.searching.pace import Network
from archspace.searching.run import Request
from archspace.searching.sampler import STARTUP, propose
from archspace.searching.searcher import MISFITS
from archspace.seeds import derive
from archspace.space.sampler import sampled

SAMPLED = 200
"""Genomes drawn within the budget."""


@dataclass(frozen=True)
class Prospects:
    """Networks at the task's input, those that its images are too small for left out.

    `first` are the ones a search begins with: genomes handed in, and what its seed proposes before results say more.
    `drawn` are from the whole budget; `whole` says that the space has no others.
    """

    first: tuple[Network, ...]
    drawn: tuple[Network, ...]
    whole: bool

    @property
    def networks(self) -> tuple[Network, ...]:
        """Each of them once, the first ones first."""
        return tuple({network.genome.id: network for network in chain(self.first, self.drawn)}.values())

    def trials(self, number: int) -> Iterator[Network]:
        """As many networks as a search of `number` trials may train, those drawn standing for all after the first."""
        if self.whole:
            return islice(self.networks, number)
        return islice(chain(self.first, cycle(self.drawn or self.first)), number)


def look_ahead(request: Request, task: Task, trials: int) -> Prospects:
    """The prospects of a search of so many trials; raises BudgetError where no genome keeps the budget."""
    found = sampled(request.space, request.budget, SAMPLED, derive(request.seed, "plan"))
    drawn = _fitting((candidate.genome for candidate in found.candidates), task)
    return Prospects(tuple(islice(_first(request, task), trials)), tuple(drawn), found.whole)


def _first(request: Request, task: Task) -> Iterator[Network]:
    """What a searcher hands out as long as it has no results; see Searcher."""
    tried: set[str] = set()
    for network in _fitting((genome for _, genome in request.enqueue), task):
        if network.genome.id not in tried:
            tried.add(network.genome.id)
            yield network
    for number in range(len(tried), STARTUP):
        for _ in range(MISFITS):
            found = propose(request.space, request.budget, (), tried, number, request.seed)
            if found is None:
                return
            tried.add(found.genome.id)
            fitting = list(_fitting([found.genome], task))
            if fitting:
                yield fitting[0]
                break


def _fitting(genomes: Iterable[Genome], task: Task) -> Iterator[Network]:
    for genome in genomes:
        try:
            yield Network(genome, cost_of(genome, task.input, task.classes))
        except GenomeError:
            continue
