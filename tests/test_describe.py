"""What a space is said to hold, against all of its genomes; where it is sampled, intervals that keep their promise."""

import math
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from archspace.closed_form import MEASURES
from archspace.document import read_text
from archspace.errors import BudgetError, UserError
from archspace.report.save import check_suffix, save_figure
from archspace.report.space_data import space_data
from archspace.report.space_figure import space_figure
from archspace.space.budget import Budget, parse_budget
from archspace.space.describe import describe, lines
from archspace.space.description import COLUMNS, share_text
from archspace.space.estimates import chance, correlation, correlation_ratio, histogram, quantile, ranks, wilson
from archspace.space.file import load_space, read_space
from archspace.space.reach import reachable
from archspace.space.sameness import one_to_one
from archspace.space.sampler import Candidate, candidate
from archspace.space.space import Space
from archspace.space.survey import measured, settings_within, surveyed

HOLES = """\
target: {input: [1, 8, 8], classes: 10}
stem: {kind: imagenet, width: {choices: [8, 16]}}
stages:
  number: 3
  block: plain
  depth: {range: [1, 2]}
  width: {range: [8, 16], step: 4}
  kernel: {choices: [3, 5]}
  downsample: {choices: [conv, pool2, pool3]}
head: {kind: {choices: [average, mlp]}}
"""
"""A space some of whose settings leave nothing of the map."""
DEPTHS = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: bottleneck
  depth: {range: [1, 5], per: stage}
  width: {range: [8, 40], step: 8, log: true, times: [1, 2]}
  cardinality: {choices: [1, 2, 4]}
  group_width: {choices: [2, 4]}
  shortcut: {choices: [B, C]}
"""
RULE = """\
target: {input: [3, 64, 64], classes: 10}
stem: {kind: regnet, width: 8}
stages:
  rule: regnet
  w0: {range: [8, 32], step: 8}
  wa: {range: [8.0, 16.0], step: 2.0}
  wm: {range: [2.0, 3.0], step: 0.25}
  depth: {range: [4, 6]}
  group_width: {choices: [8, 16]}
"""
SHARES = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: inception
  depth: 1
  width: {choices: [16, 32]}
  small_share: {choices: [0.25, 0.26, 0.5]}
  reduce_small_share: 0.25
  large_share: 0.125
  reduce_large_share: 0.125
  project_share: 0.125
"""
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
"""


@cache
def space_in(text: str) -> Space:
    return read_space(read_text(text, "small.yaml"))


@cache
def everything(space: Space) -> list[Candidate | None]:
    """Every setting in the order of the genes' values; None where no network can be built."""
    rows = product(*(gene.values for gene in space.genes))
    return [candidate(space, {g.name: v for g, v in zip(space.genes, row, strict=True)}) for row in rows]


def built(space: Space) -> list[Candidate]:
    return [item for item in everything(space) if item is not None]


def figures_of(space: Space, measure: str) -> list[int]:
    return [getattr(item.cost, measure) for item in built(space)]


def told(space: Space, *budget: str, seed: int = 0) -> dict[str, Any]:
    return describe(space, parse_budget(budget) if budget else None, seed)


@pytest.mark.parametrize("text", [HOLES, DEPTHS, RULE, SHARES])
def test_a_small_space_is_gone_through_as_a_whole(text: str) -> None:
    space = space_in(text)
    described, there = told(space), built(space)
    assert described["whole"]
    assert described["genomes"] == described["draws"] == len(everything(space))
    assert described["buildable"]["settings"] == len(there)
    assert described["distinct"] == len({item.genome.id for item in there})
    for measure in MEASURES:
        figures, cost = sorted(figures_of(space, measure)), described["cost"][measure]
        assert (cost["least"], cost["greatest"]) == (figures[0], figures[-1])
        for share, value in cost["quantiles"].items():
            assert value == np.quantile(figures, int(share) / 100, method="inverted_cdf")
    assert sum(described["histogram"]["counts"]) == described["drivers"]["n"] == len(there)


def test_the_spaces_of_these_tests_are_what_they_are_for() -> None:
    assert 0 < len(built(space_in(HOLES))) < space_in(HOLES).size
    assert [one_to_one(space_in(text)) for text in (HOLES, DEPTHS, RULE, SHARES)] == [True, True, False, False]
    assert told(space_in(RULE))["distinct"] < space_in(RULE).size
    # Shares of 0.25 and 0.26 are 4 of 16 channels, and 8 of 32.
    assert told(space_in(SHARES))["distinct"] == 2 * 2


@pytest.mark.parametrize("text", [HOLES, DEPTHS])
def test_settings_are_said_to_differ_where_their_genomes_do(text: str) -> None:
    assert len({item.genome.id for item in built(space_in(text))}) == len(built(space_in(text)))


@pytest.mark.parametrize("name", ["plain", "inception", "resnet", "preact", "densenet"])
def test_most_shipped_spaces_have_a_genome_for_each_setting(name: str) -> None:
    assert one_to_one(load_space(name))


def test_families_that_share_a_block_may_share_genomes() -> None:
    assert one_to_one(space_in(UNION))
    assert not one_to_one(
        space_in(
            UNION.replace(
                "block: dense, depth: {range: [2, 6]}, growth_rate: {range: [4, 12]}",
                "block: basic, depth: {range: [2, 6]}, width: 8",
            )
        )
    )


@pytest.mark.parametrize("text", [HOLES, DEPTHS])
def test_what_drives_cost_is_spearmans_correlation(text: str) -> None:
    space = space_in(text)
    drivers = told(space, f"{max(figures_of(space, 'params'))}params")["drivers"]
    assert drivers["measure"] == "params"
    assert drivers["chance"] == 0
    assert {gene["name"] for gene in drivers["genes"]} == {gene.name for gene in space.genes}
    strengths = [abs(gene["correlation"]) for gene in drivers["genes"]]
    assert strengths == sorted(strengths, reverse=True)
    figures = figures_of(space, "params")
    for gene in drivers["genes"]:
        values = [item.values[gene["name"]] for item in built(space)]
        if gene["signed"]:
            expected = stats.spearmanr(values, figures).statistic
        else:
            expected = math.sqrt(_eta_squared(values, list(stats.rankdata(figures))))
        assert gene["correlation"] == pytest.approx(expected, abs=1e-9)


def _eta_squared(words: list[Any], figures: list[float]) -> float:
    """The share of the variance that is between the words, as the F test has it."""
    groups = [[f for w, f in zip(words, figures, strict=True) if w == word] for word in set(words)]
    statistic = stats.f_oneway(*groups).statistic
    between, within = len(groups) - 1, len(figures) - len(groups)
    return float(statistic * between / (statistic * between + within))


def test_a_measure_that_never_changes_is_driven_by_nothing() -> None:
    space = space_in(DEPTHS.replace("{choices: [B, C]}", "B").replace("[8, 40]", "[8, 16]").replace("[1, 5]", "[1, 2]"))
    assert all(math.isfinite(gene["correlation"]) for gene in told(space)["drivers"]["genes"])
    same = read_space(
        read_text(
            "target: {input: [1, 32, 32], classes: 10}\n"
            "stem: {kind: cifar, width: 8}\n"
            "survival: {last: {choices: [0.5, 0.9]}}\n"
            "stages: {number: 2, block: basic, depth: 2, width: 8}\n",
            "same.yaml",
        )
    )
    described = told(same)
    assert [math.isnan(gene["correlation"]) for gene in described["drivers"]["genes"]] == [True]
    assert any(line.split() == ["survival.last", "–"] for line in lines(described))
    assert sum(described["histogram"]["counts"]) == 2


@pytest.mark.parametrize("text", [HOLES, DEPTHS, RULE])
@pytest.mark.parametrize(
    "budget", ["{flops}flops", "{flops}flops±20%", "{flops}flops, {acts}acts", "{params}params±0%"]
)
def test_the_share_within_budget_is_counted(text: str, budget: str) -> None:
    space = space_in(text)
    middle = sorted(built(space), key=lambda item: item.cost.flops)[len(built(space)) // 2].cost
    words = budget.format(flops=middle.flops, acts=middle.acts, params=middle.params)
    share = told(space, words)["budget"]
    within = sum(parse_budget([words]).allows(item.cost) for item in built(space))
    assert within > 0
    assert share["settings"] == within
    assert share["share"] == within / space.size
    assert share["interval"] == [share["share"]] * 2
    assert settings_within(space, parse_budget([words])) == within  # solved for, without looking at all


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([HOLES, DEPTHS, RULE]), st.sampled_from(MEASURES), st.integers(0, 10**6), st.integers(0, 30))
def test_solving_counts_what_looking_counts(text: str, measure: str, at: int, band: int) -> None:
    space = space_in(text)
    figures = figures_of(space, measure)
    budget = parse_budget([f"{figures[at % len(figures)]}{measure}" + (f"±{band}%" if band else "")])
    assert settings_within(space, budget) == sum(budget.allows(item.cost) for item in built(space))
    assert settings_within(space, budget, most=1) is None


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_intervals_of_a_sample_hold_the_share_19_times_in_20(share: float) -> None:
    space = space_in(DEPTHS)
    figures = sorted(figures_of(space, "flops"))
    budget = parse_budget([f"{figures[int(share * len(figures))]}flops"])
    truth = sum(budget.allows(item.cost) for item in built(space)) / space.size
    held = 0
    for seed in range(200):
        survey = surveyed(space, measured(budget), seed, draws=400, whole=0)
        assert not survey.whole
        assert survey.size == 400
        low, high = wilson(survey.within(budget), survey.size)
        held += low <= truth <= high
    assert 180 <= held <= 200  # 190 expected, standard deviation 3.1


def test_draws_are_uniform_over_the_values_also_on_a_log_scale() -> None:
    space = space_in(DEPTHS)
    survey = surveyed(space, measured(Budget()), 0, draws=20_000, whole=0)
    for gene, numbers in zip(space.genes, survey.numbers, strict=True):
        assert stats.chisquare(np.bincount(numbers, minlength=len(gene.values))).pvalue > 1e-4
    assert np.array_equal(survey.numbers, surveyed(space, measured(Budget()), 0, draws=20_000, whole=0).numbers)
    assert not np.array_equal(survey.numbers, surveyed(space, measured(Budget()), 1, draws=20_000, whole=0).numbers)


@given(st.integers(1, 10**6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    expected = stats.binomtest(*counts).proportion_ci(method="wilson")
    assert wilson(*counts) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(*counts)[0] <= counts[0] / counts[1] <= wilson(*counts)[1]


def test_none_seen_is_an_interval_too() -> None:
    low, high = wilson(0, 65_536)
    assert low == 0
    assert 0 < high < 1e-4
    assert wilson(65_536, 65_536) == pytest.approx((1 - high, 1))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=40), st.integers(0, 100))
def test_ranks_and_quantiles(figures: list[int], share: int) -> None:
    assert list(ranks(np.array(figures))) == list(stats.rankdata(figures))
    assert quantile(np.sort(figures), share / 100) == np.quantile(figures, share / 100, method="inverted_cdf")
    edges, counts = histogram(np.array(figures, float))
    assert sum(counts) == len(figures)
    assert edges == sorted(edges)


def test_the_ratio_of_two_groups_is_the_correlation_without_its_sign() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(2, size=500)
    figures = rng.normal(size=500) - groups
    assert correlation_ratio(groups, figures) == pytest.approx(-correlation(groups.astype(float), figures))
    assert math.isnan(correlation_ratio(groups, np.ones(500)))


def test_what_is_called_chance_covers_genes_that_do_nothing() -> None:
    rng = np.random.default_rng(0)
    cost = ranks(rng.normal(size=1000))
    found = [abs(correlation(ranks(rng.integers(8, size=1000)), cost)) for _ in range(400)]
    assert 0.02 <= np.mean(np.array(found) > chance(1000)) <= 0.09  # 5 % expected


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.12163, "12.16%"),
        (0.0000585, "0.0059%"),
        (0.99994139, "99.9941%"),
        (3e-9, "0.00000030%"),
    ],
)
def test_shares_keep_two_digits(share: float, text: str) -> None:
    assert share_text(share) == text


def test_a_large_space_is_sampled_and_its_share_solved_for() -> None:
    space = load_space("resnet")
    described = told(space, "1GFLOPs")
    assert not described["whole"]
    assert described["draws"] == described["drivers"]["n"] == 2**16
    share, buildable = described["budget"], described["buildable"]
    assert share["share"] == share["settings"] / space.size
    survey = surveyed(space, measured(Budget()), 1)
    low, high = wilson(survey.within(parse_budget(["1GFLOPs"])), survey.size)
    assert low - 0.002 <= share["share"] <= high + 0.002  # another sample's interval
    assert buildable["settings"] is None
    assert buildable["interval"][0] < buildable["share"] == buildable["interval"][1] == 1
    for measure, cost in described["cost"].items():
        ordered = [cost["least"], *cost["quantiles"].values(), cost["greatest"]]
        assert ordered == sorted(ordered), measure
    assert described == told(space, "1GFLOPs")
    assert described["cost"] != told(space, "1GFLOPs", seed=1)["cost"]


def test_a_budget_that_none_of_the_drawn_keeps_is_told_with_its_interval() -> None:
    space = load_space("densenet")
    least, _ = reachable(space, "flops")
    described = told(space, f"{least}flops")
    share = described["budget"]
    assert (share["share"], share["settings"]) == (0, None)
    assert share["interval"] == [0, wilson(0, 2**16)[1]]
    said = " ".join(" ".join(lines(described)).split())
    assert f"within {least}flops: <0.0059% of the settings (95 % interval 0% to 0.0059%, none of 65,536 drawn" in said
    assert space_data(described).budget == f"within {least}flops: <0.0059%"


@pytest.mark.parametrize("text", ["1params", "1TFLOPs±1%"])
@pytest.mark.parametrize("space", [DEPTHS, UNION])
def test_a_budget_out_of_reach_is_refused_with_the_range(space: str, text: str) -> None:
    with pytest.raises(BudgetError, match=r"was found within it; the space reaches .* binds"):
        told(space_in(space), text)


def test_a_space_counts_within_its_own_limits_too() -> None:
    cap = sorted(figures_of(space_in(DEPTHS), "flops"))[100]
    limited = space_in(f"{DEPTHS}limits: [{cap}flops]\n")
    described = told(limited)
    assert described["budget"]["settings"] == sum(flops <= cap for flops in figures_of(space_in(DEPTHS), "flops"))
    assert described["budget"]["limits"] == [{"measure": "flops", "low": 0, "high": cap}]
    assert any(f"limits of the space: {cap}flops" in line for line in lines(described))
    assert told(limited, "1GMACs")["budget"]["settings"] == described["budget"]["settings"]


def test_other_measures_of_a_budget_are_described() -> None:
    space = space_in(DEPTHS)
    described = told(space, "20MB")
    cost = described["cost"]["training_memory"]
    (limit,) = parse_budget(["2MB"]).limits
    figures = sorted(limit.of(item.cost) for item in built(space))
    assert (cost["least"], cost["greatest"], cost["batch"]) == (figures[0], figures[-1], 32)
    assert described["drivers"]["measure"] == "training_memory"
    assert described["budget"]["settings"] == sum(figure <= 20_000_000 for figure in figures)
    assert "training memory at 1x32x32, 10 classes, batch 32" in str(space_figure(described).layout.xaxis.title.text)


def test_families_are_described_together_and_each() -> None:
    space = space_in(UNION)
    flops = sorted(figures_of(space.families["dense"], "flops"))[20]
    described = told(space, f"{flops}flops")
    shares = []
    for family, (name, inner) in zip(described["families"], space.families.items(), strict=True):
        within = [cost <= flops for cost in figures_of(inner, "flops")]
        assert (family["name"], family["genomes"]) == (name, inner.size)
        assert family["budget"]["settings"] == sum(within)
        assert [gene["name"] for gene in family["drivers"]["genes"]] == [
            gene["name"] for gene in told(inner)["drivers"]["genes"]
        ]
        shares.append(sum(within) / inner.size)
    assert described["budget"]["share"] == pytest.approx(sum(shares) / 2)
    assert described["budget"]["settings"] == sum(family["budget"]["settings"] for family in described["families"])
    assert [gene["name"] for gene in described["drivers"]["genes"]] == ["family"]
    every = [cost for inner in space.families.values() for cost in figures_of(inner, "flops")]
    assert (described["cost"]["flops"]["least"], described["cost"]["flops"]["greatest"]) == (min(every), max(every))
    rows = [line.split() for line in lines(described)]
    assert [row[1] for row in rows if row[:1] == ["dense"] and row[1].isdigit()] == ["45"]


def test_a_family_whose_own_limits_exclude_the_budget_has_no_share() -> None:
    text = UNION.replace("  narrow:\n", "  narrow:\n    limits: [30kparams±10%]\n")
    described = told(space_in(text), "10kparams")
    assert [family["budget"]["settings"] for family in described["families"]] == [
        0,
        sum(params <= 10_000 for params in figures_of(space_in(UNION).families["dense"], "params")),
    ]


def test_the_overview_fits_the_page_and_each_family_counts_alike() -> None:
    described = told(load_space("overview"), "1GFLOPs±5%, 25Mparams")
    assert described["draws"] == 9 * 2**14
    own = [family["budget"]["share"] for family in described["families"]]
    assert described["budget"]["share"] == pytest.approx(sum(own) / 9)
    low, high = described["budget"]["interval"]
    assert 0 < low < described["budget"]["share"] < high < 0.1
    text = lines(described)
    assert max(map(len, text)) <= COLUMNS
    assert [line for line in text if line.startswith("  regnet ")]
    data = space_data(described)
    assert [row.name for row in data.rows] == list(load_space("overview").families)
    assert (data.low, data.high) == (950_000_000, 1_050_000_000)
    assert all(len(row.bars) == 3 for row in data.rows)
    labels = [label for trace in space_figure(described).data if trace.type == "bar" for label in trace.text]
    assert sorted(labels) == sorted(f"{bar.gene} {bar.label}" for row in data.rows for bar in row.bars)


@pytest.mark.parametrize("text", [HOLES, DEPTHS, RULE, SHARES, UNION])
def test_lines_fit_the_page_and_figures_have_units(text: str) -> None:
    space = space_in(text)
    said = lines(told(space, f"{reachable(space, 'flops')[1]}flops"))
    assert max(map(len, said)) <= COLUMNS
    assert "cost counted at " in said[0]
    (row,) = (line for line in said if line.split()[:1] == ["50%"])
    assert [cell for cell in row.split() if cell[-1].isalpha()][-4:][0].endswith("params")
    assert all(row.count(unit) == 1 for unit in ("params", "MACs", "FLOPs", "acts"))


def test_a_space_without_choices_is_one_genome() -> None:
    text = "target: {input: [1, 32, 32], classes: 10}\nstages: {number: 1, block: basic, depth: 1, width: 8}\n"
    described = told(space_in(text))
    assert (described["genomes"], described["distinct"]) == (1, 1)
    assert lines(described)[0].startswith("small: 1 genome, ")
    assert not any("drives" in line for line in lines(described))
    assert space_figure(described).layout.xaxis.range


def traces(described: dict[str, Any]) -> Iterator[Any]:
    return iter(space_figure(described).data)


def test_the_picture_shows_what_is_described() -> None:
    space = space_in(HOLES)
    flops = sorted(figures_of(space, "flops"))
    described = told(space, f"{flops[40]}flops±10%")
    data = space_data(described)
    assert sum(data.shares) == pytest.approx(100)
    assert data.x[0] < flops[0]
    assert data.x[1] > flops[-1]
    assert [bar.gene for bar in data.rows[0].bars] == [gene["name"] for gene in described["drivers"]["genes"]]
    figure = space_figure(described)
    assert figure.layout.xaxis.title.text == "flops at 1x8x8, 10 classes"
    lines_drawn = sorted(shape.x0 for shape in figure.layout.shapes if shape.type == "line")
    assert lines_drawn == [limit for limit in described["budget"]["limits"][0].values() if not isinstance(limit, str)]
    names = {trace.name for trace in traces(described) if trace.showlegend is not False}
    assert {"least to greatest", "5 to 95%", "25 to 75%", "median", "cost rises with the gene"} <= names
    assert all(label.endswith("FLOPs") for label in figure.layout.xaxis.ticktext)
    assert (data.low, data.high) == tuple(lines_drawn)


def test_the_strongest_genes_are_shown_where_there_are_many() -> None:
    text = DEPTHS.replace("number: 2", "number: 7").replace("times: [1, 2]", "per: stage")
    described = told(space_in(text.replace("choices: [B, C]", "choices: [B]")))
    data = space_data(described)
    assert [bar.gene for bar in data.rows[0].bars] == [gene["name"] for gene in described["drivers"]["genes"][:12]]
    assert " (12 of 16 genes)" in space_figure(described).layout.xaxis2.title.text


def test_names_cannot_smuggle_markup_into_the_page(tmp_path: Path) -> None:
    described = told(space_in(HOLES.replace("target:", "name: '</script><img src=x>'\ntarget:")))
    path = tmp_path / "space.html"
    save_figure(space_figure(described), path, described["name"])
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<img src=x>" not in page
    assert "Plotly.newPlot" in page
    assert "<script src=" not in page  # nothing is fetched
    assert [file.name for file in tmp_path.iterdir()] == ["space.html"]


@pytest.mark.parametrize("text", [HOLES, UNION])
def test_pictures_are_drawn_whole(tmp_path: Path, text: str) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed: pip install archspace[static]")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"))):
        pytest.skip("no Chrome or Chromium for kaleido to draw with")
    described = told(space_in(text))
    figure = space_figure(described)
    save_figure(figure, tmp_path / "space.svg", "x")
    drawn = (tmp_path / "space.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert all(f">{bar.gene}" in drawn for row in space_data(described).rows for bar in row.bars)
    save_figure(figure, tmp_path / "space.PNG", "x")
    picture = (tmp_path / "space.PNG").read_bytes()
    assert picture[:4] == b"\x89PNG"
    assert int.from_bytes(picture[16:20], "big") == 2 * figure.layout.width


def test_pictures_without_kaleido_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    check_suffix(Path("space.html"))
    for name in ("space.svg", "space.png"):
        with pytest.raises(UserError, match=r"pip install archspace\[static\], or name an \.html"):
            check_suffix(Path(name))


@pytest.mark.parametrize("name", ["space.pdf", "space", "space.html.gz", "svg"])
def test_other_kinds_of_pictures_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"is written as \.html, \.svg or \.png; end the name in one of these"):
        check_suffix(Path(name))


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written: .*; name another file with -o"):
        save_figure(space_figure(told(space_in(HOLES))), tmp_path / "file" / "space.html", "x")
