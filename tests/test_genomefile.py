"""Genomes come back from their data unchanged, and mistakes in files are told at their places."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from strategies import genomes

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blocks.registry import families
from archspace.document import Mistakes, read_text
from archspace.errors import GenomeError, UserError
from archspace.genome import Genome, Stage, Stem, Survival, canonical_json, genome_data
from archspace.genomefile import genome_from_data, load_genome, parse_genome, read_genome

TEXT = """\
stem: {kind: cifar, width: 16}
stages:
  - {block: basic, depth: 3, width: 16, stride: 1, shortcut: A}
  - {block: bottleneck, depth: 2, width: 64, stride: 2, group_width: 4, cardinality: 8}
survival: {last: 0.5}
initialisation: he
"""

GENOME = Genome(
    stages=(Stage("basic", 3, 16, 1, BasicGenes("A")), Stage("bottleneck", 2, 64, 2, BottleneckGenes(4, 8))),
    stem=Stem("cifar", 16),
    survival=Survival(0.5),
    initialisation="he",
)


def messages(text: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as refusal:
        read_genome(text, "g.yaml")
    return refusal.value.messages


@given(genome=genomes())
def test_data_and_json_give_the_genome_back(genome: Genome) -> None:
    for data in (genome_data(genome), json.loads(canonical_json(genome))):
        again = genome_from_data(data)
        assert again == genome
        assert again.id == genome.id


def test_yaml_and_json_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(TEXT)
    (tmp_path / "g.json").write_text(json.dumps(genome_data(GENOME), indent="\t"))
    assert load_genome(tmp_path / "g.yaml") == load_genome(tmp_path / "g.json") == GENOME


def test_defaults_may_be_left_out() -> None:
    genome = read_genome("stages: [{block: basic, depth: 1, width: 64, stride: 1}]", "-")
    assert genome == Genome((Stage("basic", 1, 64, 1, BasicGenes()),))


def test_all_mistakes_are_told_at_their_places() -> None:
    text = (
        "stem: {kind: imagent}\n"
        "stages:\n"
        "  - {block: bottelneck, depth: 3, width: 16, stride: 1}\n"
        "  - {block: bottleneck, depth: 2, width: 64, cardinalty: 2}\n"
        "  - {block: basic, depth: two, width: 64, stride: 1, cardinality: 4}\n"
        "  - {depth: 1}\n"
        "  - {block: basic, depth: 0, width: 64, stride: 1}\n"
        "  - [basic]\n"
        "survival: {last: true}\n"
        "seed: 1\n"
    )
    known = "block, cardinality, depth, form, group_width, order, shortcut, squeeze, stride, stride_on, width"
    stems = "'imagenet', 'cifar', 'bare', 'regnet', 'googlenet', 'alexnet' or 'none'"
    assert messages(text) == (
        f"g.yaml:1:8: stem.kind: expected {stems}, found 'imagent' (did you mean 'imagenet'?)",
        "g.yaml:3:6: stages[0].block: unknown block 'bottelneck' (did you mean 'bottleneck'?); known are "
        + ", ".join(sorted(families())),
        "g.yaml:4:5: stages[1]: missing key 'group_width'",
        "g.yaml:4:5: stages[1]: missing key 'stride'",
        f"g.yaml:4:46: stages[1].cardinalty: unknown key (did you mean 'cardinality'?); known keys are {known}",
        "g.yaml:5:20: stages[2].depth: expected a whole number, found 'two'",
        "g.yaml:5:54: stages[2].cardinality: unknown key; known keys are block, depth, dropout, order, shortcut, "
        "stride, width",
        "g.yaml:6:5: stages[3]: missing key 'block'",
        "g.yaml:7:5: stages[4]: depth must be a whole number of at least 1, not 0",
        "g.yaml:8:5: stages[5]: expected a mapping, found a list",
        "g.yaml:9:12: survival.last: expected a number, found true",
        "g.yaml:10:1: seed: unknown key; known keys are auxiliary, head, initialisation, stages, stem, survival",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("group_width: 4", "group_width: 0", "g.yaml:4:5: stages[1]: group_width must be a whole number of at least 1"),
        ("width: 64, stride: 2, group", "width: 8, stride: 2, shortcut: A, group", "g.yaml:4:5: stages[1]: shortcut A"),
        ("last: 0.5", "last: 1.5", "g.yaml:5:1: survival: survival.last must be above 0"),
        ("width: 16}", "width: -1}", "g.yaml:1:1: stem: width must be"),
    ],
)
def test_what_no_network_can_be_built_from_is_told_at_its_stage_or_section(old: str, new: str, message: str) -> None:
    (told,) = messages(TEXT.replace(old, new))
    assert told.startswith(message)


@pytest.mark.parametrize("text", ["[]", "3", "stages: []", "stages: {}", "stem: {}", "null", "stages: [null]"])
def test_what_is_no_genome_is_refused(text: str) -> None:
    assert messages(text)


def test_a_genome_inside_a_document_is_told_by_its_full_path() -> None:
    document = read_text("references:\n  - genome: {stages: [{block: basic}]}\n", "s.yaml")
    mistakes = Mistakes(document)
    assert parse_genome(mistakes, ("references", 0, "genome")) is None
    with pytest.raises(UserError, match=r"s.yaml:2:23: references\[0\].genome.stages\[0\]: missing key 'depth'"):
        mistakes.raise_if_any()


@pytest.mark.parametrize("data", [None, [], {}, {"stages": [{"block": "basic", "depth": 1, "width": 4}]}])
def test_data_that_is_no_genome_raises_a_genome_error(data: Any) -> None:
    with pytest.raises(GenomeError, match=r"^genome: "):
        genome_from_data(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[{block: dense, depth: 4, width: 64, stride: 1, growth_rate: 12}]",
            "width: that of block 'dense' follows from",
        ),
        ("[{block: basic, depth: 4, stride: 1}]", "stages[0]: missing key 'width'"),
        ("[{block: dense, depth: 4, stride: 1, growth_rate: 12, compression: 2.0}]", "compression must be above 0"),
        ("[{block: basic, depth: 0, width: 8, stride: 1}]", "depth must be a whole number of at least 1, not 0"),
        (
            "[{block: basic, depth: 1, width: 8, stride: 1, dropout: 0.3}]",
            "dropout belongs to order full-preactivation",
        ),
        (
            "[{block: bottleneck, depth: 1, width: 8, stride: 1, group_width: 2, form: separate}]",
            "with cardinality 1 there is but one path",
        ),
        ("{rule: regnet, w0: 25, wa: 1.0, wm: 2.0, depth: 2, group_width: 8}", "w0 must be a multiple of 8, not 25"),
    ],
)
def test_genes_that_do_not_fit_are_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_genome(f"stages: {text}\n", "g.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("g.yaml:1:")
    assert message in line


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("auxiliary: {after: [1], weight: 0.3}", "of which this network has none"),
        ("survival: {last: 0.5}", "has no branch to skip: survival must be 1"),
        ("initialisation: he-zero-last-norm", "no branch here ends in a normalisation; use he or auto"),
        ("head: {hidden: 64}", "kind average has no hidden; leave it out"),
        ("stem: {kind: none}", "block 'dense' with stride 1 needs a stem"),
        ("stem: {kind: none, width: 32}", "kind none has no width; leave it out"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_a_reason(rest: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_genome(f"stages: [{{block: dense, depth: 4, stride: 1, growth_rate: 12}}]\n{rest}\n", "g.yaml")
    assert message in str(caught.value)
