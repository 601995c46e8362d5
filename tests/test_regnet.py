"""RegNet's rule: five numbers resolve to the stages that are published, in files, in spaces, in runs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_zoo import published_rows

from archspace import zoo
from archspace.document import read_text
from archspace.errors import GenomeError, UserError
from archspace.genomefile import read_genome
from archspace.regnet import QUANTUM, RegNetRule, regnet_stages
from archspace.space.file import read_space
from archspace.space.space import genome_of

FILE = """\
stem: {kind: regnet, width: 32}
stages: {rule: regnet, w0: 24, wa: 36.44, wm: 2.49, depth: 13, group_width: 8}
"""
SPACE = """\
target: {input: [3, 224, 224], classes: 1000}
stem: {kind: regnet, width: 32}
stages: {rule: regnet, w0: 24, wa: 36.44, wm: 2.49, depth: {range: [12, 14]}, group_width: {choices: [8, 16]}}
"""


def test_the_rule_gives_the_published_stages() -> None:
    rows = [row for row in published_rows().values() if row["family"] == "regnet"]
    assert len(rows) == 19
    for row in rows:
        stages = zoo.entry(row["name"]).genome.stages
        assert "-".join(str(stage.depth) for stage in stages) == row["depth_per_stage"], row["name"]
        assert "-".join(str(stage.width) for stage in stages) == row["base_width_per_stage"], row["name"]
        cardinalities = "-".join(str(vars(stage.genes)["cardinality"]) for stage in stages)
        assert cardinalities == row["cardinality"], row["name"]


def test_a_genome_holds_stages_only() -> None:
    genome = read_genome(FILE, "file.yaml")
    assert genome.stages == regnet_stages(RegNetRule(24, 36.44, 2.49, 13, 8))
    assert genome == zoo.entry("RegNetX-200MF").genome


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40).map(lambda number: number * QUANTUM),
    st.floats(0.0, 200.0),
    st.floats(1.5, 3.5),
    st.integers(1, 40),
    st.sampled_from([1, 8, 24, 120]),
)
def test_stages_partition_the_depth_and_never_narrow(w0: int, wa: float, wm: float, depth: int, group: int) -> None:
    stages = regnet_stages(RegNetRule(w0, wa, wm, depth, group))
    assert sum(stage.depth for stage in stages) == depth
    widths = [stage.width or 0 for stage in stages]
    assert widths == sorted(widths)
    assert all(width % vars(stage.genes)["group_width"] == 0 for width, stage in zip(widths, stages, strict=True))


def test_a_space_searches_the_five_numbers() -> None:
    space = read_space(read_text(SPACE, "space.yaml"))
    assert [gene.name for gene in space.genes] == ["stages.depth", "stages.group_width"]
    assert space.size == 6
    genome = genome_of(space, {"stages.depth": 13, "stages.group_width": 8})
    assert genome.id == zoo.entry("RegNetX-200MF").genome.id


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rule: regnet", "rule: regnot", "2:10: stages.rule: expected 'regnet', found 'regnot'"),
        ("w0: 24", "w0: 25", "w0 must be a multiple of 8, not 25"),
        ("wm: 2.49", "wm: 1.0", "wm must be at least 1.01 and at most 10000, not 1.0"),
        ("wa: 36.44, ", "", "2:1: stages: missing key 'wa'"),
        ("wa: 36.44", "wa: fast", "2:32: stages.wa: expected a number, found 'fast'"),
        ("wm: 2.49", "vm: 2.49", "2:43: stages.vm: unknown key; known keys are depth, group_width"),
        ("wa: 36.44", "wa: .inf", "wa must be at least 0 and at most 10000, not inf"),
        ("wm: 2.49", "wm: 1.0e+300", "wm must be at least 1.01 and at most 10000, not 1e+300"),
        ("depth: 13", "depth: 100000", "depth must be at most 1000, not 100000"),
    ],
)
def test_a_mistake_is_told_at_its_place(old: str, new: str, message: str) -> None:
    assert old in FILE
    with pytest.raises(UserError) as caught:
        read_genome(FILE.replace(old, new), "file.yaml")
    assert message in str(caught.value)
    if old in SPACE:
        with pytest.raises(UserError):
            read_space(read_text(SPACE.replace(old, new), "space.yaml"))


def test_genes_that_do_not_fit() -> None:
    with pytest.raises(GenomeError, match="squeeze must be"):
        regnet_stages(RegNetRule(24, 10.0, 2.0, 8, 8, squeeze=-1.0))


def test_steps_too_fine_to_end_are_refused() -> None:
    with pytest.raises(GenomeError, match=r"wm must be at least 1\.01"):
        RegNetRule(8, 10_000.0, 1.000000000001, 1000, 8)
