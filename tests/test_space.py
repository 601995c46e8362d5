"""Space files: the shipped ones, how values are written, and every mistake told at its place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archspace import zoo
from archspace.document import Document, read_text
from archspace.errors import UserError
from archspace.genome import Genome
from archspace.space.file import load_space, read_space, shipped_spaces
from archspace.space.reach import reachable
from archspace.space.space import Gene, Space, genome_of, values_of

RESNEXTS = [name for name in zoo.names() if name.lower().startswith(("resnext-50", "resnext-101", "resnext50"))]
"""Tables 3 and 4 of the paper, which the space says it holds."""

GOOD = """\
about: small
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: bottleneck
  depth: 1
  width: {range: [8, 24], step: 8, times: [1, 2]}
  cardinality: {choices: [1, 2, 4]}
  group_width: 2
"""


def space_in(text: str) -> Space:
    return read_space(read_text(text, "file.yaml"))


def told(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        space_in(text)
    return str(caught.value).splitlines()


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def zoo_genome(name: str) -> Genome:
    return zoo.entry(name).genome


@pytest.mark.parametrize("name", ["resnet", "resnext"])
def test_shipped_spaces_reach_from_300_mflops_to_8_gflops(name: str) -> None:
    space = load_space(name)
    assert space.input == (3, 224, 224)
    assert space.classes == 1000
    low, high = reachable(space, "flops")
    assert low <= 300_000_000
    assert high >= 8_000_000_000
    assert load_space(f"{name}.yaml") == space
    assert name in shipped_spaces()


@pytest.mark.parametrize(
    ("space", "network"),
    [
        *(("resnext", name) for name in RESNEXTS),
        ("resnext", "resnet50"),
        ("resnext", "ResNet-101_1x64d"),
        ("resnet", "timm_resnet26"),
        ("resnet", "resnet50"),
        ("resnet", "ResNet-101_1x64d"),
        ("resnet", "resnet152"),
    ],
)
def test_shipped_spaces_hold_published_networks(space: str, network: str) -> None:
    held, genome = load_space(space), zoo_genome(network)
    values = values_of(held, genome)
    assert values is not None
    assert set(values) == {gene.name for gene in held.genes}
    assert genome_of(held, values).id == genome.id


def test_a_genome_from_elsewhere_has_no_values() -> None:
    assert values_of(load_space("resnet"), zoo_genome("resnet34")) is None
    assert values_of(load_space("resnet"), zoo_genome("resnext50_32x4d")) is None
    assert values_of(space_in(GOOD), zoo_genome("resnet50")) is None


def test_a_path_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resnext").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_space("resnext").about == "small"
    assert load_space("resnext.yaml").name == "resnext"
    with pytest.raises(UserError, match=r"'nowhere/resnext'.*shipped are densenet, .*resnext"):
        load_space("nowhere/resnext")


def genes_of(text: str) -> dict[str, Gene]:
    return {gene.name: gene for gene in space_in(text).genes}


def test_one_draw_serves_all_stages_times_its_factors() -> None:
    space = space_in(GOOD)
    assert {gene.name: gene.values for gene in space.genes} == {"width": (8, 16, 24), "cardinality": (1, 2, 4)}
    stages = genome_of(space, {"width": 16, "cardinality": 4}).stages
    assert [stage.width for stage in stages] == [16, 32]
    assert [stage.stride for stage in stages] == [1, 2]
    assert [vars(stage.genes)["cardinality"] for stage in stages] == [4, 4]
    assert space.size == 9


def test_values_may_be_drawn_for_each_stage() -> None:
    text = changed("depth: 1", "depth: {range: [1, 3], per: stage}")
    assert genes_of(text)["depth.2"].values == (1, 2, 3)
    assert "depth" not in genes_of(text)
    text = changed("depth: 1", "depth: [2, {range: [2, 8], step: 3}]")
    assert genes_of(text)["depth.2"].values == (2, 5, 8)
    values = {"width": 8, "cardinality": 1, "depth.2": 5}
    assert [stage.depth for stage in genome_of(space_in(text), values).stages] == [2, 5]
    text = changed("width: {range: [8, 24], step: 8,", "width: {range: [8, 24], step: 8, per: stage,")
    values = {"width.1": 8, "width.2": 24, "cardinality": 1}
    space = space_in(text)
    assert [stage.width for stage in genome_of(space, values).stages] == [8, 48]
    assert values_of(space, genome_of(space, values)) == values


def test_log_and_order() -> None:
    assert genes_of(changed("step: 8,", "step: 8, log: true,"))["width"].log
    assert genes_of(changed("[1, 2, 4]", "[4, 1, 2]"))["cardinality"].values == (1, 2, 4)
    shortcut = genes_of(GOOD + "  shortcut: {choices: [C, B]}\n")["shortcut"]
    assert shortcut.values == ("C", "B")
    assert not shortcut.ordered


def test_everything_outside_the_stages_may_vary_too() -> None:
    text = changed("width: 8}", "width: {range: [8, 16], step: 4}}")
    text += "survival: {last: {range: [0.5, 1.0], step: 0.25}, mode: {choices: [batch, sample]}}\n"
    text += "initialisation: {choices: [he, he-zero-last-norm]}\n"
    space = space_in(text)
    assert {gene.name for gene in space.genes} >= {"stem.width", "survival.last", "survival.mode", "initialisation"}
    values = {"width": 8, "cardinality": 1, "stem.width": 12, "survival.last": 0.75, "survival.mode": "sample"}
    genome = genome_of(space, {**values, "initialisation": "he"})
    assert (genome.stem.width, genome.survival.last, genome.survival.mode) == (12, 0.75, "sample")
    assert values_of(space, genome) == {**values, "initialisation": "he"}


def test_a_rule_stands_for_a_gene() -> None:
    text = changed("group_width: 2", "bottleneck_ratio: {choices: [0.5, 1]}")
    space = space_in(text)
    genome = genome_of(space, {"width": 16, "cardinality": 4, "bottleneck_ratio": 0.5})
    assert [vars(stage.genes)["group_width"] for stage in genome.stages] == [2, 4]
    assert values_of(space, genome) == {"width": 16, "cardinality": 4, "bottleneck_ratio": 0.5}


def test_a_rule_may_have_factors() -> None:
    space = space_in(changed("group_width: 2", "bottleneck_ratio: {choices: [0.25, 0.5], times: [2, 1]}"))
    values = {"width": 16, "cardinality": 2, "bottleneck_ratio": 0.25}
    assert values_of(space, genome_of(space, values)) == values


def test_a_space_is_read_again_from_what_a_run_keeps() -> None:
    space = space_in(GOOD)
    again = read_space(Document("file.yaml", dict(space.source), {}))
    assert again == space


MISTAKES: dict[str, tuple[str, str, str]] = {
    "unknown key": ("about:", "abuot:", "1:1: abuot: unknown key (did you mean 'about'?)"),
    "unknown gene": (
        "cardinality:",
        "cardinalty:",
        "9:3: stages.cardinalty: unknown key (did you mean 'cardinality'?)",
    ),
    "unknown stem key": ("width: 8}", "widht: 8}", "3:21: stem.widht: unknown key (did you mean 'width'?)"),
    "unknown range key": ("step: 8", "stpe: 8", "8:27: stages.width.stpe: unknown key (did you mean 'step'?)"),
    "wrong type": ("depth: 1", "depth: deep", "7:3: stages.depth: expected a whole number, found 'deep'"),
    "not whole": ("depth: 1", "depth: 1.5", "7:3: stages.depth: expected a whole number, found 1.5"),
    "zero": ("depth: 1", "depth: 0", "7:3: stages.depth: must be at least 1, not 0"),
    "null": ("depth: 1", "depth:", "7:3: stages.depth: expected a whole number, found nothing"),
    "true": ("depth: 1", "depth: true", "7:3: stages.depth: expected a whole number, found true"),
    "too deep": ("depth: 1", "depth: 200000", "4:1: stages: depth must be at most 100000, not 200000"),
    "type in a range": ("[8, 24]", "[8, 24.5]", "8:22: stages.width.range[1]: expected a whole number, found 24.5"),
    "endless range": ("[8, 24]", "[8, .inf]", "8:22: stages.width.range[1]: expected a whole number"),
    "type in choices": ("[1, 2, 4]", "[1, two, 4]", "9:30: stages.cardinality.choices[1]: expected a whole number"),
    "zero in choices": ("[1, 2, 4]", "[0, 2]", "9:27: stages.cardinality.choices[0]: must be at least 1, not 0"),
    "duplicate key": ("depth: 1", "depth: 1\n  depth: 2", "8:3: key 'depth' is here twice, first in line 7; keep one"),
    "duplicate choice": ("[1, 2, 4]", "[1, 2, 2]", "9:33: stages.cardinality.choices[2]: 2 is here twice; keep one"),
    "empty range": ("[8, 24]", "[24, 8]", "8:11: stages.width.range: empty range: 24 is above 8; swap them"),
    "range that is a number": ("[8, 24]", "8", "8:11: stages.width.range: expected a list, found 8"),
    "range of one": ("[8, 24]", "[8]", "8:11: stages.width.range: 1 items here; must be at least 2"),
    "range off its steps": (
        "[8, 24]",
        "[8, 30]",
        "8:11: stages.width.range: steps of 8 from 8 end at 24; end the range there",
    ),
    "step below zero": ("step: 8", "step: -8", "8:27: stages.width.step: must be above 0, not -8"),
    "huge range": ("[8, 24]", "[8, 800000]", "8:11: stages.width.range: more than 10000 values; take a larger step"),
    "no choices": ("[1, 2, 4]", "[]", "9:17: stages.cardinality.choices: 0 items here; must be at least 1"),
    "neither range nor choices": (
        "{choices: [1, 2, 4]}",
        "{log: true}",
        "9:3: stages.cardinality: missing key 'range'",
    ),
    "both": ("choices: [1, 2, 4]", "range: [1, 2], choices: [1]", "9:32: stages.cardinality.choices: unknown key"),
    "indivisible": (
        "group_width: 2",
        "bottleneck_ratio: 0.25",
        "8:3: stages.width: stage 1: width 8 x bottleneck_ratio 0.25 = 2 channels cannot be divided into cardinality 4",
    ),
    "gene and rule": (
        "group_width: 2",
        "group_width: 2\n  bottleneck_ratio: 0.5",
        "11:3: stages.bottleneck_ratio: stands for group_width; keep one of the two",
    ),
    "unknown block": (
        "block: bottleneck",
        "block: botleneck",
        "6:3: stages.block: unknown block 'botleneck' (did you mean",
    ),
    "block list": (
        "block: bottleneck",
        "block: [bottleneck]",
        "6:3: stages.block: expected one block per stage (2), found 1",
    ),
    "block of a list": (
        "block: bottleneck",
        "block: [bottleneck, bsic]",
        "6:23: stages.block[1]: unknown block 'bsic' (did you",
    ),
    "block number": ("block: bottleneck", "block: 3", "6:3: stages.block: expected the name of a block"),
    "no block": ("  block: bottleneck\n", "", "4:1: stages: missing key 'block'"),
    "no number": ("  number: 2\n", "", "4:1: stages: missing key 'number': how many stages, 1 to 16"),
    "wrong number": ("number: 2", "number: two", "5:3: stages.number: expected how many stages, 1 to 16, found 'two'"),
    "no depth": ("  depth: 1\n", "", "4:1: stages: missing key 'depth'"),
    "no gene": ("  group_width: 2\n", "", "4:1: stages: missing key 'group_width' (or 'bottleneck_ratio')"),
    "no target": ("target: {input: [1, 32, 32], classes: 10}\n", "", "1:1: missing key 'target'"),
    "no classes": (", classes: 10", "", "2:1: target: missing key 'classes'"),
    "one class": ("classes: 10", "classes: 1", "2:30: target.classes: must be at least 2, not 1"),
    "no channels": ("[1, 32, 32]", "[0, 32, 32]", "2:18: target.input[0]: must be at least 1, not 0"),
    "flat input": ("[1, 32, 32]", "[32, 32]", "2:10: target.input"),
    "list of wrong length": (
        "depth: 1",
        "depth: [1, 2, 3]",
        "7:3: stages.depth: a list here gives one value per stage: expected 2, found 3",
    ),
    "factors of wrong length": (
        "[1, 2]}",
        "[1]}",
        "8:36: stages.width.times: expected one factor per stage (2), found 1",
    ),
    "factor below one": ("[1, 2]}", "[1, 0]}", "8:47: stages.width.times[1]: must be at least 1, not 0"),
    "log of a word": ("step: 8", "log: 3", "8:27: stages.width.log: expected true or false, found 3"),
    "per what": ("step: 8", "per: block", "8:27: stages.width.per: expected 'stage', found 'block'"),
    "unknown stem": (
        "kind: cifar",
        "kind: cifra",
        "3:8: stem.kind: expected 'imagenet', 'cifar', 'bare', 'regnet', 'googlenet', 'alexnet' or 'none', found",
    ),
    "stem that is a word": ("{kind: cifar, width: 8}", "cifar", "3:1: stem: expected a mapping, found 'cifar'"),
    "survival above one": (
        "about: small",
        "survival: {last: 1.5}",
        "1:12: survival.last must be above 0 and at most 1, not 1.5",
    ),
    "per stage outside stages": (
        "width: 8}",
        "width: {range: [8, 9], per: stage}}",
        "3:44: stem.width.per: only values under `stages` can be drawn per stage; leave this out",
    ),
    "budget": ("about: small", "limits: [25Mparams, 4G]", "1:21: limits[1]: budget '4G': of what?"),
    "budgets at odds": (
        "about: small",
        "limits: [9Mflops, 20Mflops±1%]",
        "1:19: limits[1]: budget: 9Mflops and 20Mflops±1% exclude each other in flops",
    ),
    "a number for a budget": ("about: small", "limits: [4]", "1:10: limits[0]: expected text, found 4"),
    "object": (
        "about: small",
        "about: !!python/object/apply:os.system [ls]",
        "1:8: tag !!python/object/apply:os.system",
    ),
    "own tag": ("depth: 1", "depth: !deep 1", "7:10: tag !deep: only plain text"),
    "not YAML": ("[1, 2, 4]", "[1, 2, 4", "9:34: not YAML: expected ',' or ']'"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_at_its_place(old: str, new: str, message: str) -> None:
    found = told(changed(old, new))
    assert any(line.startswith(f"file.yaml:{message}") for line in found), found
    assert len(found) == 1, found


def test_every_mistake_is_told_in_one_reading() -> None:
    text = GOOD
    for name in ("unknown key", "one class", "unknown stem", "zero", "empty range", "duplicate choice"):
        text = text.replace(*MISTAKES[name][:2])
    text += "  groop_width: 3\nlimits: [4G]\nsurvival: {last: 2.0}\n"
    lines = [int(line.split(":")[1]) for line in told(text)]
    assert lines == [1, 2, 3, 7, 8, 9, 11, 12, 13]


def test_a_top_level_that_is_a_list_is_told() -> None:
    assert told("- 1\n") == ["file.yaml:1:1: expected a mapping, found a list"]


@pytest.mark.parametrize(
    "spoil", [lambda text: text[: len(text) // 2], lambda text: text.replace(":", ""), lambda _: "\0", lambda _: "{{{"]
)
def test_garbage_is_a_user_error(spoil: Callable[[str], str]) -> None:
    with pytest.raises(UserError):
        space_in(spoil(GOOD))


def test_a_million_combinations_are_read_at_once() -> None:
    text = changed("step: 8", "step: 1").replace("[8, 24]", "[8, 5000]")
    text = text.replace("group_width: 2", "group_width: {range: [1, 99]}")
    assert space_in(text).size == 4993 * 3 * 99
