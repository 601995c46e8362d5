"""Spaces of several families: what a file may say; only a family's own genes are drawn, fitted and learned from."""

import random
from itertools import islice
from pathlib import Path

import pytest

from archspace.document import Document, read_text
from archspace.errors import BudgetError, UserError
from archspace.searching.sampler import STARTUP, Result, propose
from archspace.space.budget import parse_budget
from archspace.space.describe import describe, lines
from archspace.space.file import load_space, read_space
from archspace.space.reach import reachable
from archspace.space.sampler import draws, fit, sample
from archspace.space.space import Space, family_of, genome_of, values_of

UNION = """\
name: two
target: {input: [1, 32, 32], classes: 10}
families:
  narrow:
    stem: {kind: cifar, width: 8}
    stages: {number: 2, block: basic, depth: {range: [1, 3]}, width: {range: [8, 32], step: 8, times: [1, 2]}}
  dense:
    stem: {kind: bare, width: 8}
    stages: {number: 2, block: dense, depth: {range: [2, 6]}, growth_rate: {range: [4, 12]}}
    survival: {mode: batch}
"""


def space_in(text: str) -> Space:
    return read_space(read_text(text, "two.yaml"))


SPACE = space_in(UNION)


def test_the_union_has_every_genome_of_its_families() -> None:
    assert SPACE.size == 3 * 4 + 5 * 9 == sum(space.size for space in SPACE.families.values())
    names = ["family", "narrow.depth", "narrow.width", "dense.depth", "dense.growth_rate"]
    assert [gene.name for gene in SPACE.genes] == names
    ends = [reachable(space, "flops") for space in SPACE.families.values()]
    assert reachable(SPACE, "flops") == (min(low for low, _ in ends), max(high for _, high in ends))


def test_draws_name_a_family_and_have_its_genes_alone() -> None:
    budget = parse_budget(["30MFLOPs"])
    for found in islice(draws(SPACE, budget, random.Random(0)), 60):
        family = found.values["family"]
        assert all(name == "family" or name.startswith(f"{family}.") for name in found.values)
        assert genome_of(SPACE, found.values) == found.genome
        assert values_of(SPACE, found.genome) == found.values


def test_families_are_drawn_equally_and_left_out_where_they_cannot_keep_the_budget() -> None:
    drawn = [found.values["family"] for found in islice(draws(SPACE, parse_budget(["1GFLOPs"]), random.Random(1)), 300)]
    assert 110 <= drawn.count("dense") <= 190  # 150 expected, standard deviation 8.7
    low = reachable(SPACE.families["dense"], "flops")[0]
    high = reachable(SPACE.families["narrow"], "flops")[0]
    cheap, dear = sorted((low, high))
    only = {found.values["family"] for found in sample(SPACE, parse_budget([f"{(cheap + dear) // 2}flops"]), 5, 0)}
    assert only == {"dense" if low < high else "narrow"}
    with pytest.raises(BudgetError, match="no genome of space two was found within it"):
        sample(SPACE, parse_budget([f"{cheap - 1}flops"]), 1, 0)


def test_fitting_stays_in_the_family() -> None:
    dear = max(islice(draws(SPACE, parse_budget(["1GFLOPs"]), random.Random(2)), 40), key=lambda item: item.cost.flops)
    fitted = fit(SPACE, dear.values, parse_budget([f"{dear.cost.flops - 1}flops"]))
    assert fitted is not None
    assert fitted.values["family"] == dear.values["family"]
    assert fitted.cost.flops < dear.cost.flops


def test_the_estimator_learns_which_family_is_better() -> None:
    budget = parse_budget(["1GFLOPs"])
    known = list(islice(draws(SPACE, budget, random.Random(3)), 40))
    results = [Result(item.values, 0.1 if item.values["family"] == "dense" else 0.5, 1) for item in known]
    proposed = [propose(SPACE, budget, results, (), STARTUP + number, seed=4) for number in range(20)]
    assert all(item is not None and budget.allows(item.cost) for item in proposed)
    again = [propose(SPACE, budget, results, (), STARTUP + number, seed=4) for number in range(20)]
    assert proposed == again
    families = [item.values["family"] for item in proposed if item]
    assert families.count("dense") > families.count("narrow")
    inner, values = family_of(SPACE, proposed[0].values if proposed[0] else {})
    assert set(values) == {gene.name for gene in inner.genes}


def test_a_run_reads_the_union_again_from_what_it_keeps() -> None:
    assert read_space(Document("run.yaml", dict(SPACE.source), {})) == SPACE
    listed = load_space("overview")
    again = read_space(Document("overview.yaml", dict(listed.source), {}))
    assert again == listed
    assert isinstance(listed.source["families"], dict)  # spelled out: a later change of a shipped space changes no run


def test_families_may_be_paths(tmp_path: Path) -> None:
    inner = "target: {input: [3, 8, 8], classes: 2}\n" + UNION.split("narrow:\n")[1].split("  dense:")[0].replace(
        "    ", ""
    )
    (tmp_path / "mine.yaml").write_text(inner, encoding="utf-8")
    text = f"target: {{input: [3, 64, 64], classes: 7}}\nfamilies: [{tmp_path / 'mine.yaml'}, resnext]\n"
    space = space_in(text)
    assert set(space.families) == {"mine", "resnext"}
    assert {(held.input, held.classes) for held in space.families.values()} == {((3, 64, 64), 7)}


def test_a_union_describes_itself() -> None:
    told = lines(describe(SPACE, parse_budget(["30MFLOPs"]), 0))
    assert told[0].startswith("two: 57 genomes")
    assert any(line.split()[:1] == ["dense.growth_rate"] for line in told)
    assert any("within 30MFLOPs" in line for line in told)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "block: basic",
            "block: basics",
            "two.yaml:6:25: stages.block: unknown block 'basics' (did you mean 'basic'?)",
        ),
        ("growth_rate: {range: [4, 12]}", "growth: 4", "two.yaml:9:63: stages.growth: unknown key (did you mean"),
        ("  dense:\n", "  narrow:\n", "two.yaml:7:3: key 'narrow' is here twice"),
        ("name: two", "nam: two", "two.yaml:1:1: nam: unknown key (did you mean 'name'?)"),
        (
            "depth: {range: [2, 6]}",
            "depth: {range: [2, 6]}, width: 3",
            "two.yaml:9:63: stages.width: follows from the genes",
        ),
        ("mode: batch", "mode: bacth", "two.yaml:10:16: survival.mode: expected 'batch' or 'sample', found 'bacth'"),
    ],
)
def test_a_mistake_in_a_family_is_told_at_its_place(old: str, new: str, message: str) -> None:
    assert old in UNION
    with pytest.raises(UserError) as caught:
        space_in(UNION.replace(old, new))
    assert any(line.startswith(message) for line in str(caught.value).splitlines()), str(caught.value)


def test_names_that_do_not_do(tmp_path: Path) -> None:
    for families, message in (
        ("[resnext]", "at least 2"),
        ("[resnext, resnet50]", "no shipped space of that name"),
        ("[overview, resnext]", "itself a space of several families"),
        ("[resnext, resnext]", r"two.yaml:2:21: families\[1\]: a second family called 'resnext'; keep one"),
        ("[resnext, resnexx]", r"two.yaml:2:21: families\[1\]: space 'resnexx' \(did you mean 'resnext'\?\)"),
        ("{a: 1, b: 2}", "expected a mapping with the sections of a space"),
    ):
        with pytest.raises(UserError, match=message):
            space_in(f"target: {{input: [3, 64, 64], classes: 7}}\nfamilies: {families}\n")
    assert not list(tmp_path.iterdir())


LIMITED = UNION.replace("  narrow:\n", "  narrow:\n    limits: [100kFLOPs]\n")


def test_the_limits_of_a_family_hold_for_its_genomes_alone() -> None:
    space = space_in(LIMITED)
    found = sample(space, parse_budget(["1GFLOPs"]), 1000, 0)
    narrow = [one for one in found if one.values["family"] == "narrow"]
    assert all(one.cost.flops <= 100_000 for one in narrow)
    assert len(narrow) < len(found)


def test_a_family_whose_limits_exclude_the_budget_ends_no_search() -> None:
    space, budget = space_in(LIMITED), parse_budget(["1MFLOPs±50%"])
    results = [
        Result({"family": name, **inner}, 0.5, 1e6)
        for name, inner in (
            ("narrow", {"narrow.depth": 1, "narrow.width": 8}),
            ("dense", {"dense.depth": 2, "dense.growth_rate": 4}),
        )
        for _ in range(STARTUP)
    ]
    for number in range(STARTUP, STARTUP + 12):
        found = propose(space, budget, results, set(), number, 0)
        assert found is None or found.values["family"] == "dense"


def test_a_union_that_names_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text("name: bomb\ntarget: {input: [1, 32, 32], classes: 10}\nfamilies: [bomb.yaml, ./bomb.yaml]\n")
    with pytest.raises(UserError, match=r"'bomb\.yaml' is itself a space of several families"):
        load_space(path)
