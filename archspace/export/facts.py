"""What an exported network says about itself."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archspace.genome import Genome, Shape, genome_data

if TYPE_CHECKING:
    from archspace.closed_form import Cost

WRAP = 116
"""Columns of an exported docstring's text."""


@dataclass(frozen=True)
class Facts:
    """What is known of a network: `target` is its cost at the target, `trained` at the task.

    `error` is a fraction of the val images, `cross_entropy` in nats. What is None or empty is not mentioned;
    `notes` are further sentences, how the task's images are scaled, say.
    """

    name: str
    genome: Genome
    target: Cost
    trained: Cost | None = None
    task: str | None = None
    error: float | None = None
    cross_entropy: float | None = None
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


USE = "Use:"


def docstring(facts: Facts, input: Shape, classes: int, weights: str | None) -> str:
    """The text of an exported file's docstring, for a network built for `input` and `classes`.

    `weights` is the name of the safetensors file beside it, or None where there is none.
    """
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    paragraphs = [
        [f"{_plain(facts.name)}: a convolutional network that needs torch alone, exported by archspace."],
        [*_result(facts), *(_plain(note) for note in facts.notes)],
        list(_costs(facts)),
        [f"Genome {facts.genome.id}:", *_genome(facts.genome)],
        [USE, *_use(input, classes, weights)],
        [f"Made with {versions}."] if versions else [],
    ]
    # Code is not wrapped: it is copied from here.
    texts = ["\n".join(lines if lines[0] == USE else _wrapped(lines)) for lines in paragraphs if lines]
    text = "\n\n".join(texts)
    return text.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def _result(facts: Facts) -> Iterator[str]:
    on = f" on {_plain(facts.task)}" if facts.task else ""
    measured = []
    if facts.error is not None:
        measured.append(f"val error {100 * facts.error:.2f} %")
    if facts.cross_entropy is not None:
        measured.append(f"val cross-entropy {facts.cross_entropy:.4f}")
    if facts.seed is not None:
        measured.append(f"seed {facts.seed}")
    if measured:
        yield f"Trained{on}: {', '.join(measured)}."


def _costs(facts: Facts) -> Iterator[str]:
    yield "Cost of one image:"
    costs = [(facts.target, "target")]
    if facts.trained is not None:
        if (facts.trained.input, facts.trained.classes) == (facts.target.input, facts.target.classes):
            costs = [(facts.target, "target and task")]
        else:
            costs.append((facts.trained, f"task {_plain(facts.task)}" if facts.task else "task"))
    for cost, role in costs:
        yield f"    at {'x'.join(str(size) for size in cost.input)}, {cost.classes} classes ({role}):"
        yield f"        {cost.params:,} params, {cost.macs:,} macs, {cost.flops:,} flops, {cost.acts:,} acts"
    yield f"Layers on the longest path: {facts.target.layers}."
    yield "Params: trainable scalars. Macs: multiply-adds of convolutions and linear layers, without bias."
    yield "Flops: as fvcore counts them in eval mode. Acts: output elements of convolutions."


def _genome(genome: Genome) -> Iterator[str]:
    """The genome as JSON, a line for each stage."""
    data = genome_data(genome)
    stages = [json.dumps(stage) for stage in data.pop("stages")]
    rest = json.dumps(data, sort_keys=True)[1:-1]
    yield f'    {{{rest}{", " if rest else ""}"stages": ['
    for stage in stages[:-1]:
        yield f"        {stage},"
    yield f"        {stages[-1]}"
    yield "    ]}"


def _use(input: Shape, classes: int, weights: str | None) -> Iterator[str]:
    if weights is not None:
        yield "    from safetensors.torch import load_file"
    yield "    network = build()"
    if weights is not None:
        yield f"    network.load_state_dict(load_file({json.dumps(weights, ensure_ascii=False)}), strict=True)"
    sizes = ", ".join(str(size) for size in input)
    yield f"    scores = network.eval()(images)  # images (N, {sizes}), scores (N, {classes})"


def _wrapped(lines: list[str]) -> Iterator[str]:
    """Lines of at most WRAP columns where blanks allow it; what is wrapped keeps its indent."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        deeper = indent + "  " if indent else ""
        yield from textwrap.wrap(line, WRAP, subsequent_indent=deeper, break_long_words=False, break_on_hyphens=False)


def _plain(text: str) -> str:
    """Text on one line, whatever was typed."""
    return " ".join(text.split())
