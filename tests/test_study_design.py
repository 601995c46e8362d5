"""Study files, arms that are matched in cost, designs."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_study

from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blocks.dense import DenseGenes
from archspace.blocks.inception import InceptionGenes
from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.errors import UserError
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.study.arms import Knob, knobs_of, turned, value_of, with_values
from archspace.study.design import design_text, make_design, read_design, shape_of
from archspace.study.file import load_study
from archspace.study.match import Pricing, Unmatched, matched
from archspace.study.results import registered_of
from archspace.study.schema import Arm, Match

INPUT, CLASSES = (3, 16, 16), 10
SHIPPED = sorted(path.parent.name for path in (Path(__file__).parent.parent / "studies").glob("*/study.yaml"))


def genome(depth: int = 3, width: int = 24, cardinality: int = 6, group_width: int = 4) -> Genome:
    stages = (
        Stage("bottleneck", depth, width, 1, BottleneckGenes(group_width, cardinality)),
        Stage("bottleneck", depth, 2 * width, 2, BottleneckGenes(2 * group_width, cardinality)),
    )
    return Genome(stages, Stem("cifar", 12), initialisation="he")


PRICE = Pricing("flops", INPUT, CLASSES)


def test_an_axis_moves_the_numbers_that_its_name_says() -> None:
    one = genome()
    assert knobs_of("depth", one) == (Knob(0, "depth"), Knob(1, "depth"))
    assert {knob.name for knob in knobs_of("cardinality", one)} == {"cardinality"}
    assert [value_of(one, knob) for knob in knobs_of("width", one)] == [12, 24, 4, 48, 8]
    inception = Genome((Stage("inception", 1, None, 1, InceptionGenes(4, 5, 6, 7, 8)),), Stem("bare", 16))
    assert [value_of(inception, knob) for knob in knobs_of("width", inception)] == [16, 4, 5, 6, 7, 8]
    dense = Genome((Stage("dense", 4, None, 1, DenseGenes(12)),), Stem("bare", 16))
    assert [value_of(dense, knob) for knob in knobs_of("width", dense)] == [16, 12]
    with pytest.raises(UserError, match="axis 'cardinality': a network of dense blocks has no such whole number"):
        knobs_of("cardinality", dense)


def test_turning_the_knobs_changes_them_and_nothing_else() -> None:
    one, knobs = genome(), knobs_of("cardinality", genome())
    more = turned(one, knobs, (12, 13))
    assert [value_of(more, knob) for knob in knobs] == [12, 13]
    assert turned(more, knobs, (6, 6)) == one


def test_values_are_set_in_every_stage_or_in_their_section() -> None:
    one = with_values(genome(), {"cardinality": 2, "survival": {"last": 0.5}})
    assert [stage.genes.cardinality for stage in one.stages] == [2, 2]  # type: ignore[attr-defined]
    assert one.survival == Survival(0.5)
    basic = with_values(genome(), {"block": "basic"})
    assert [stage.block for stage in basic.stages] == ["basic", "basic"]
    assert with_values(genome(), {}) == genome()


ARMS = {"base": Arm(), "depth": Arm(spend="depth"), "width": Arm(spend="width"), "groups": Arm(spend="cardinality")}


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("measure", ["flops", "params"])
def test_arms_meet_one_cost_and_move_their_own_axis_alone(depth: int, measure: str) -> None:
    price = replace(PRICE, measure=measure)
    match = Match(measure=measure)  # type: ignore[arg-type]
    anchor = genome(depth)
    found = matched(anchor, ARMS, match, price)
    own = price(anchor)
    costs = {name: price(option.genome) for name, option in found.items()}
    assert costs == {name: option.cost for name, option in found.items()}
    assert costs.pop("base") == own
    assert all(1.8 <= cost / own <= 2.2 for cost in costs.values())
    assert max(costs.values()) / min(costs.values()) <= 1.01**2
    for name, axis in {"depth": "depth", "width": "width", "groups": "cardinality"}.items():
        knobs = knobs_of(axis, anchor)
        assert turned(found[name].genome, knobs, [value_of(anchor, knob) for knob in knobs]) == anchor
        moves = [math.log2(value_of(found[name].genome, knob) / value_of(anchor, knob)) for knob in knobs]
        assert min(moves) > 0.2
        assert max(moves) - min(moves) < 1.0


def test_arms_at_fixed_cost_keep_it() -> None:
    anchor = genome(2, 48, 1, 32)
    arms = {
        f"c{groups}": Arm(set={"cardinality": groups}, spend="group_width", trim={"width": 0.15})
        for groups in (2, 4, 8)
    }
    found = matched(anchor, arms, Match(ratio=[1.0, 1.0]), PRICE)
    for groups in (2, 4, 8):
        option = found[f"c{groups}"]
        assert abs(option.cost / PRICE(anchor) - 1) <= 0.01
        assert {stage.genes.cardinality for stage in option.genome.stages} == {groups}  # type: ignore[attr-defined]
        trimmed = [new.width / old.width for new, old in zip(option.genome.stages, anchor.stages, strict=True)]  # type: ignore[operator]
        assert all(1 / 1.16 < ratio < 1.16 for ratio in trimmed)


def test_what_cannot_be_matched_is_told_with_gene_and_nearest_cost() -> None:
    anchor = genome(1, 24, 2, 4)
    with pytest.raises(
        Unmatched, match=r"arm depth: depth cannot bring it to .* times its cost; nearest is [\d.]+ times"
    ):
        matched(anchor, {"depth": Arm(spend="depth")}, Match(ratio=[2.5, 2.6]), PRICE)
    with pytest.raises(
        Unmatched,
        match=r"arm width: stem width, width, group_width cannot bring it to [\d.]+ MFLOPs within 1e-05%; nearest",
    ):
        matched(anchor, ARMS, Match(tolerance=1e-7), PRICE)


def test_a_design_has_its_strata_filled_and_every_arm_matched(tmp_path: Path) -> None:
    study = tiny_study.study(tmp_path, ("strata: {cost: 2, shape: 1}", "strata: {cost: 2, shape: 2}"))
    task = load_task("digits")
    design = make_design(study, task)
    assert [anchor.stratum for anchor in design.anchors] == ["cost1-deep", "cost1-wide", "cost2-deep", "cost2-wide"]
    deep, wide = design.anchors[:2]
    assert shape_of(deep.genome) > shape_of(wide.genome)
    ends = [150e3, math.sqrt(150e3 * 600e3), 600e3]
    for anchor in design.anchors:
        assert anchor.cost == cost_of(anchor.genome, task.input, task.classes).flops
        part = int(anchor.cell.removeprefix("cost"))
        assert ends[part - 1] <= anchor.cost <= ends[part]
        spent = [anchor.doublings(arm) for arm in ("depth", "width", "cardinality")]
        assert max(spent) - min(spent) < math.log2(1.01**2)
    assert make_design(study, task) == design
    (tmp_path / "design.json").write_text(design_text(design))
    assert read_design(tmp_path / "design.json") == design
    assert design.median_anchor("cost1").cost == min(one.cost for one in design.anchors if one.cell == "cost1")


def test_a_stratum_that_cannot_be_filled_says_which_arm_and_how_near(tmp_path: Path) -> None:
    study = tiny_study.study(tmp_path, ("arms:", "match: {ratio: [2.9, 3.0], tolerance: 0.000001}\narms:"))
    with pytest.raises(
        UserError, match=r"stratum cost1 has 0 of 1 anchors: .* cannot be matched; the last: anchor .* arm"
    ):
        make_design(study, load_task("digits"))


def test_arms_that_share_no_cost_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    study = tiny_study.study(
        tmp_path, ("  base: {}", "  base: {}\n  most: {set: {cardinality: 24}}"), ("b: depth}", "b: most}")
    )
    with pytest.raises(
        UserError, match=r"contrast of cardinality and most: its arms cost up to [\d.]+ times each other"
    ):
        make_design(study, load_task("digits"))


def test_the_hash_knows_every_change_and_no_comment(tmp_path: Path) -> None:
    plain = tiny_study.study(tmp_path / "a")
    assert tiny_study.study(tmp_path / "b", ("seeds: 2", "seeds: 2  # two")).registered == plain.registered
    assert tiny_study.study(tmp_path / "c", ("seeds: 2", "seeds: 3")).registered != plain.registered
    assert load_study(plain.folder, scale=2.0).registered != plain.registered
    (plain.folder / "space.yaml").write_text(tiny_study.SPACE.replace("width: 6", "width: 8"))
    assert load_study(plain.folder).registered != plain.registered


def test_a_recipe_beside_a_study_goes_before_the_shipped_one(tmp_path: Path) -> None:
    shipped = tiny_study.study(tmp_path, ("task: digits", "task: digits\nrecipe: fast"))
    (tmp_path / "fast.yaml").write_text("name: fast\nmomentum: 0.8\nwarmup: 0.5\n")
    own = load_study(tmp_path)
    assert own.recipe.momentum == 0.8
    assert own.registered != shipped.registered


MISTAKES = {
    r"study\.yaml:18:22: contrasts\[0\]\.b: no arm is called 'dept' \(did you mean 'depth'\?\)": (
        "b: depth",
        "b: dept",
    ),
    r"one seed cannot tell a network from its luck.*take at least 2": ("seeds: 2", "seeds: 1"),
    r"rates: the rates must rise|rates\.grid: the rates must rise": ("[0.05, 0.1]", "[0.1, 0.05]"),
    r"compares cardinality with itself": ("a: cardinality, b: depth", "a: cardinality, b: cardinality"),
    r"margin": ("margin: 1.0", "margin: 0"),
    r"space 'nowhere\.yaml'": ("space: space.yaml", "space: nowhere.yaml"),
    r"settings\.lr: rates are those of `rates\.grid`": ("batch: 256", "batch: 256, lr: 0.1"),
    r"anchors are matched|arms are matched by flops": ("[150kFLOPs, 600kFLOPs]", "[150kMACs, 600kMACs]"),
    r"swap them": ("[150kFLOPs, 600kFLOPs]", "[600kFLOPs, 150kFLOPs]"),
    r"unknown key 'armz'|armz": ("arms:", "armz:"),
    r"recipe 'quick'": ("task: digits", "task: digits\nrecipe: quick"),
    r"only an arm that spends is matched": ("base: {}", "base: {trim: {width: 0.1}}"),
    r"9:3: arms\.a/b: an arm's name is part .* give it one without a `/`": ("  base: {}", "  a/b: {}"),
    r"one anchor cannot stand for others": ("strata: {cost: 2, shape: 1}", "strata: {cost: 1, shape: 1}"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_in_a_study_are_told_at_their_place(message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as raised:
        tiny_study.study(tmp_path, MISTAKES[message])
    assert "study.yaml" in str(raised.value)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * ("fixed-cost" in name)) for name in SHIPPED]
)
def test_shipped_studies_can_be_drawn_and_matched(name: str) -> None:
    study = load_study(Path(__file__).parent.parent / "studies" / name, scale=0.3)  # one anchor in each stratum
    try:
        task = load_task(study.task)
    except UserError as error:
        pytest.skip(f"its data are not here: {error}")
    design = make_design(study, task)
    assert len(design.anchors) == study.per_stratum * study.file.anchors.strata.cost * study.file.anchors.strata.shape
    low, high = study.file.match.ratio
    for anchor in design.anchors:
        spent = [anchor.arms[name].cost / anchor.cost for name, arm in study.file.arms.items() if arm.matched]
        assert all(low * 0.99 <= ratio <= high * 1.01 for ratio in spent)
        assert not spent or max(spent) / min(spent) <= (1 + study.file.match.tolerance) ** 2


@pytest.mark.parametrize("name", SHIPPED)
def test_results_that_are_shipped_are_those_of_their_file(name: str) -> None:
    study = load_study(Path(__file__).parent.parent / "studies" / name)
    there = registered_of(study.folder)
    assert there in (None, study.registered)


def test_anchors_of_a_union_of_families_cost_what_the_study_says(tmp_path: Path) -> None:
    head, _, stages = tiny_study.SPACE.partition("stem:")
    families = [
        f"  {name}:\n" + "".join(f"    {line}\n" for line in f"stem:{stages}".replace("[3, 4, 6]", kind).splitlines())
        for name, kind in (("one", "[3, 4]"), ("other", "[6]"))
    ]
    head = head.replace("[1, 32, 32], classes: 10", "[3, 64, 64], classes: 100")
    study = load_study(tiny_study.write(tmp_path / "tiny", space=f"{head}families:\n{''.join(families)}"))
    low, high = study.cost
    anchors = make_design(study, load_task(study.task)).anchors
    assert len(anchors) == 2
    assert all(low <= anchor.cost <= high for anchor in anchors)


def test_an_axis_that_leaves_nothing_to_trim_is_refused_with_its_arm(tmp_path: Path) -> None:
    for changed, message in (
        (
            "{spend: width, trim: {group_width: 0.1}}",
            "arm width: trim group_width: cost is spent on width, which moves",
        ),
        ("{spend: widht}", "arm width: axis 'widht': a network of bottleneck blocks has no such whole number"),
    ):
        study = tiny_study.study(tmp_path / "tiny", ("{spend: width}", changed))
        with pytest.raises(UserError, match=message):
            make_design(study, load_task(study.task))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: tiny", "name: ../up", "name: letters, digits, '.', '_' and '-' only"),
        ("[0.05, 0.1]", "[0.1, 0.10000001]", "two rates agree to six digits; keep one"),
        ("[150kFLOPs,", "['150kFLOPs, 1kparams',", "one cost is an end of a range, here are 2"),
    ],
)
def test_more_mistakes_in_a_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        tiny_study.study(tmp_path / "tiny", (old, new))
    assert any(message in told for told in caught.value.messages)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UserError, match="must be above 0"):
        load_study(tiny_study.write(tmp_path / "tiny"), scale)
