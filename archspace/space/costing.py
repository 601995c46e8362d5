"""Costs of many genomes at once: the functions that cost one are run on unknowns, once for each structure met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from archspace.blueprint import draw
from archspace.closed_form import Cost, cost
from archspace.errors import GenomeError
from archspace.program import Array, Columns, Program, compiled, index_of, size_of
from archspace.space.space import FAMILY, Gene, Space, Value, genome_of
from archspace.unknown import Question, Trace

Rows = slice | Array
Figures = Callable[[Cost], Sequence[Any]]
"""What is wanted of a cost; it must do with arithmetic, since numbers may be unknown."""

BLOCK = 2**17
"""Rows that are sorted by structure together."""
FEW = 64
"""Rows of one structure that take less time one by one than a trace would."""
PARTING = ("kernel", "stride")
"""Genes whose few values part genomes from the start: sizes of maps would be polynomials in them."""
MOST = 0.75
"""Share of rows from which on a structure's program runs over all of them, before the others overwrite theirs."""


@dataclass(frozen=True)
class Ask:
    """What is asked (see Question) of a word's column, or of what a program gives."""

    about: str
    of: Program | str


@dataclass(eq=False)
class Branch:
    """A point where genomes part: untraced at first, then a question with a branch for each answer, or an end.

    `path` are the answers that lead here. An end has a program, or none: `one_by_one` where code asked for more than
    unknowns can answer, else because no network can be built.
    """

    path: tuple[Any, ...] = ()
    traced: bool = False
    seen: int = 0
    question: Ask | None = None
    children: dict[Any, Branch] = field(default_factory=dict)
    program: Program | None = None
    one_by_one: bool = False

    def child(self, answer: Any) -> Branch:
        """The branch of an answer."""
        return self.children.setdefault(answer, Branch((*self.path, answer)))


class Costing:
    """Figures of the genomes of a space; what was traced for one table serves the next.

    `run` takes the genes' values as columns (of words their number in the gene's values) and fills `out` (figures x
    rows); not-a-number where no network can be built.
    """

    def __init__(self, space: Space, figures: Figures) -> None:
        self.space, self.figures = space, figures
        self.root = Branch()
        self.threads = ThreadpoolController()
        self.genes = {gene.name: gene for gene in space.genes if len(gene.values) > 1}
        self.families = [(name, Costing(inner, figures)) for name, inner in space.families.items()]

    def run(self, columns: Mapping[str, Array], out: Array) -> None:
        """Fill `out` for all rows of the columns."""
        if self.families:
            for number, (name, inner) in enumerate(self.families):
                own = np.flatnonzero(columns[FAMILY] == number)
                if not len(own):
                    continue  # its columns may be missing
                found = np.empty((len(out), len(own)))
                inner.run({gene: columns[f"{name}.{gene}"][own] for gene in inner.genes}, found)
                out[:, own] = found
            return
        # OpenBLAS's threads cost more than they bring to products as small as these. A program that runs over rows
        # which it is not for (see MOST) may divide by zero there.
        with self.threads.limit(limits=1), np.errstate(all="ignore"):
            for start in range(0, out.shape[1], BLOCK):
                block = slice(start, min(start + BLOCK, out.shape[1]))
                part = {name: columns[name][block] for name in self.genes}
                self._walk(self.root, part, slice(0, block.stop - start), out[:, block])

    def _walk(self, branch: Branch, columns: Columns, rows: Rows, out: Array) -> None:
        if not branch.traced:
            branch.seen += size_of(rows)
            if branch.seen >= FEW:
                self._trace(branch, columns, rows)
        if branch.question is not None:
            for answer, part in _parts(_answers(branch.question, columns, rows), rows):
                self._walk(branch.child(answer), columns, part, out)
        elif branch.program is not None:
            branch.program.run(columns, rows, out)
        elif branch.traced and not branch.one_by_one:
            out[:, rows] = np.nan
        else:
            self._one_by_one(columns, rows, out)

    def _trace(self, branch: Branch, columns: Columns, rows: Rows) -> None:
        """Run the cost functions once, the way that most rows go wherever it is open."""
        at, met = branch, 0

        def oracle(question: Question) -> Any:
            nonlocal at, met, rows
            met += 1
            if met <= len(branch.path):
                return branch.path[met - 1]
            operand = question.operand
            of = operand if isinstance(operand, str) else compiled(operand.trace, [operand])
            at.traced, at.question = True, Ask(question.about, of)
            answers = _answers(at.question, columns, rows)
            counts = _counts(answers)
            given = max(counts, key=lambda answer: counts[answer])
            rows = index_of(rows)[answers == given]
            at = at.child(given)
            return given

        trace = Trace(oracle)
        try:
            genome = genome_of(self.space, _unknowns(self.space.genes, trace))
            wanted = self.figures(cost(draw(genome, self.space.input, self.space.classes)))
            at.program = compiled(trace, wanted)
        except GenomeError:
            pass
        except Exception:  # a block's code may raise anything on what is no number; on numbers it will show its own
            at.one_by_one = True
        at.traced = True
        at.one_by_one = at.one_by_one or not self._holds(at, columns, index_of(rows))
        at.program = None if at.one_by_one else at.program

    def _holds(self, end: Branch, columns: Columns, rows: Array) -> bool:
        """Whether a trace gave what the first and the last of its rows cost.

        Code that looks at an argument's type goes another way with unknowns than with numbers, and does not fail.
        """
        for row in rows[[0, -1]]:
            if self._end(columns, row) is not end:
                continue  # another branch's rows may be among them (see MOST)
            expected = np.array(self._figures_of(columns, row), np.float64)
            if end.program is None:
                right = bool(np.isnan(expected).all())
            else:
                out = np.empty((len(end.program.starts), row + 1))
                end.program.run(columns, np.array([row]), out)
                right = np.array_equal(out[:, row], expected)
            if not right:
                return False
        return True

    def _end(self, columns: Columns, row: int) -> Branch:
        """The branch to which a row's answers lead."""
        branch = self.root
        while branch.question is not None:
            branch = branch.child(_answers(branch.question, columns, np.array([row]))[0].item())
        return branch

    def _one_by_one(self, columns: Columns, rows: Rows, out: Array) -> None:
        for row in index_of(rows):
            out[:, row] = self._figures_of(columns, row)

    def _figures_of(self, columns: Columns, row: int) -> Sequence[Any]:
        """The figures of one row from its own numbers; not-a-number where no network can be built."""
        values = {gene.name: gene.values[0] for gene in self.space.genes}
        values |= {name: value_at(gene, columns[name][row]) for name, gene in self.genes.items()}
        try:
            return self.figures(cost(draw(genome_of(self.space, values), self.space.input, self.space.classes)))
        except GenomeError:
            return [np.nan]


def is_word(gene: Gene) -> bool:
    """Whether a column holds the numbers of the gene's values instead of the values."""
    return not gene.ordered


def column_of(gene: Gene, numbers: Array) -> Array:
    """The column of a gene that has, in each row, the value of this number."""
    return numbers if is_word(gene) else np.array(gene.values)[numbers]


def value_at(gene: Gene, entry: Any) -> Value:
    """The gene's value that an entry of its column stands for."""
    return gene.values[int(entry)] if is_word(gene) else entry.item()


def _unknowns(genes: Iterable[Gene], trace: Trace) -> Mapping[str, Any]:
    """Every gene as an unknown; the depths last, since products of all others are multiplied by each of them."""
    found: dict[str, Any] = {}
    for gene in sorted(genes, key=lambda gene: gene.role == "depth"):
        if len(gene.values) == 1:
            found[gene.name] = gene.values[0]
        elif is_word(gene):
            found[gene.name] = gene.values[trace.ask("value", gene.name)]
        else:
            real = any(isinstance(value, float) for value in gene.values)
            make = trace.real if real else trace.whole
            bounds = float(gene.values[0]), float(gene.values[-1])
            number: Any = make("gene", (gene.name, "real" if real else "whole"), bounds)
            found[gene.name] = index(number) if gene.role in PARTING else number
    return found


def _answers(question: Ask, columns: Columns, rows: Rows) -> Array:
    """The answer to a question in each row."""
    if isinstance(question.of, str):
        return columns[question.of][rows]
    value = question.of.values(columns, rows)
    if question.about == "value":
        return value.astype(np.int64)
    answers: Array = value == 0 if question.about == "zero" else value < 0
    return answers


def _parts(answers: Array, rows: Rows) -> Iterator[tuple[Any, Rows]]:
    """The rows of each answer; a great majority's are all rows, which come first, for others overwrite theirs."""
    counts = _counts(answers)
    most = max(counts, key=lambda answer: counts[answer])
    everywhere = counts[most] == len(answers) or (isinstance(rows, slice) and counts[most] >= MOST * len(answers))
    if everywhere:
        yield most, rows
    for answer in counts:
        if not (everywhere and answer == most):
            mine = answers == answer
            yield answer, np.flatnonzero(mine) + rows.start if isinstance(rows, slice) else rows[mine]


def _counts(answers: Array) -> dict[Any, int]:
    """How often each answer is given."""
    if answers.dtype == bool:
        yes = int(np.count_nonzero(answers))
        return {answer: count for answer, count in ((True, yes), (False, len(answers) - yes)) if count}
    found, counts = np.unique(answers, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
