"""Pictures of blocks, and docs/blocks.md that shows them: what is drawn is what is built, what is quoted is so."""

import dataclasses
import importlib.util
import re
import typing
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, fx, nn

from archspace.blocks.basic import BasicGenes
from archspace.blocks.registry import families
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost_of
from archspace.genome import Auxiliary, Genome, Head, Stage, Stem, Survival
from archspace.genomefile import read_genome
from archspace.network import build
from archspace.parts.ordering import Order
from archspace.plan import Part
from archspace.regnet import RegNetRule
from archspace.report.picture import picture_of, side_by_side
from archspace.report.picture_graph import Graph, Node, Row, block_graph, stage_graph
from archspace.report.picture_layout import Box, Layout, lay_out
from archspace.zoo.zoo import entry

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "blocks.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAWN = _load(DOCS / "draw_blocks.py")


def _blueprint(name: str, genes: Any, stride: int, last: float = 1.0) -> Blueprint:
    """A network whose second stage has two blocks of these genes."""
    kind = families()[name]
    before = Stage("plain", 1, 64, 1, families()["plain"].genes())
    stages = (before, Stage(name, 2, None if kind.growth else 64, stride, genes))
    return draw(Genome(stages, survival=Survival(last=last)))


CASES = [
    pytest.param(name, genes, stride, id=f"{name}-{number}-stride{stride}")
    for name, kind in families().items()
    for number, genes in enumerate(kind.sample_genes)
    for stride in (1, 2)
]


def _texts(svg: str, kind: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text") if node.get("class") == kind]


def _written(conv: nn.Conv2d) -> str:
    stride = f", /{conv.stride[0]}" if conv.stride[0] > 1 else ""
    groups = f", {conv.groups} groups" if conv.groups > 1 else ""
    across = f"{conv.kernel_size[0]}×{conv.kernel_size[1]}"
    return f"{across}, {conv.in_channels} → {conv.out_channels}{stride}{groups}"


@pytest.mark.parametrize(("name", "genes", "stride"), CASES)
def test_picture_shows_every_layer_of_the_built_stage(name: str, genes: Any, stride: int) -> None:
    blueprint = _blueprint(name, genes, stride)
    stage = build(blueprint).stages[1]
    svg = side_by_side({"": stage_graph(blueprint.stages[1])}, name)
    convs = [module for module in stage.modules() if isinstance(module, nn.Conv2d)]
    assert Counter(re.sub(r", bias.*", "", text) for text in _texts(svg, "conv")) == Counter(map(_written, convs))
    assert sum(", bias" in text for text in _texts(svg, "conv")) == sum(conv.bias is not None for conv in convs)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in stage.modules())
    pools = sum(isinstance(module, (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)) for module in stage.modules())
    assert len(_texts(svg, "norm")) == norms
    assert len(_texts(svg, "pool")) == pools


@pytest.mark.parametrize(("name", "genes", "stride"), CASES)
def test_nothing_overlaps_and_no_line_runs_through_a_box(name: str, genes: Any, stride: int) -> None:
    stage = _blueprint(name, genes, stride).stages[1]
    graphs = [block_graph(plan, in_width=64) for plan in stage.plans()] + [stage_graph(stage)]
    for graph in graphs:
        _check_places(lay_out(graph), graph)


def test_graphs_that_are_no_series_and_parallels_are_drawn_too() -> None:
    a, b, c, d = (Node("layers", (Row("conv", text),)) for text in "abcd")
    plus, x, y = Node("merge", sign="+"), Node("input", (Row("other", "x"),)), Node("output", (Row("other", "y"),))
    edges = ((0, 1), (0, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 6), (5, 7), (6, 7), (7, 8))
    layout = lay_out(Graph((x, a, b, plus, plus, c, d, plus, y), edges))
    assert len(layout.boxes) == 9
    assert not [pair for pair in combinations(layout.boxes, 2) if _overlap(*pair)]


def _check_places(layout: Layout, graph: Graph) -> None:
    assert [box.node for box in layout.boxes] == list(graph.nodes)
    assert not [pair for pair in combinations(layout.boxes, 2) if _overlap(*pair)]
    for box in layout.boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.right <= layout.width + 1e-9
        assert box.bottom <= layout.height + 1e-9
    for line, (source, target) in zip(layout.lines, graph.edges, strict=True):
        for start, end in zip(line.corners, line.corners[1:], strict=False):
            assert start[0] == end[0] or start[1] == end[1], "lines run straight down or across"
            for index, box in enumerate(layout.boxes):
                if index not in (source, target):
                    assert not _crosses(start, end, box)
        assert line.corners[0][1] == layout.boxes[source].bottom
        assert layout.boxes[target].top <= line.corners[-1][1] <= layout.boxes[target].bottom
        assert layout.boxes[target].left <= line.corners[-1][0] <= layout.boxes[target].right


def _overlap(one: Box, other: Box) -> bool:
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def _crosses(start: tuple[float, float], end: tuple[float, float], box: Box) -> bool:
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    return left < box.right and right > box.left and top < box.bottom and bottom > box.top


ORDERS = {
    "original": "conv norm ReLU conv norm + ReLU",
    "norm-after-addition": "conv norm ReLU conv + norm ReLU",
    "relu-before-addition": "conv norm ReLU conv norm ReLU +",
    "relu-only-preactivation": "ReLU conv norm ReLU conv norm +",
    "full-preactivation": "norm ReLU conv norm ReLU conv +",
}


@pytest.mark.parametrize("order", typing.get_args(Order))
def test_orderings_are_those_of_the_paper(order: Order) -> None:
    graph = block_graph(DRAWN.block("basic", BasicGenes(order=order), 64))
    steps = [
        word
        for node in graph.nodes
        for word in ([node.sign] if node.sign else [row.text if row.kind != "conv" else "conv" for row in node.rows])
    ]
    assert " ".join(steps[1:-1]) == ORDERS[order]
    plus = next(index for index, node in enumerate(graph.nodes) if node.sign == "+")
    assert (0, plus) in graph.edges, "the shortcut is the input itself"


def test_merges_are_those_of_the_equations() -> None:
    merges = {name: _merges(picture()) for name, picture in DRAWN.PICTURES.items()}
    assert merges["inception"] == ["concat"]
    assert sorted(merges["highway"]) == sorted("−×+" + "××++")
    assert sorted(merges["forms"]) == ["+", "+", "+", "+", "concat"]
    assert sorted(merges["squeeze"]) == ["+", "×"]
    assert merges["dense-stage"] == ["concat"] * 3
    assert not merges["plain"]


def _merges(svg: str) -> list[str]:
    return _texts(svg, "sign") + _texts(svg, "op")


def test_dense_layer_sees_all_maps_before_it() -> None:
    stage = DRAWN.dense(families()["dense"].genes(12), 4).stages[1]
    graph = stage_graph(stage)
    sources = {
        index: sum(target == index for _, target in graph.edges)
        for index, node in enumerate(graph.nodes)
        if node.sign == "concat"
    }
    assert list(sources.values()) == [2, 3, 4, 5]


def test_survival_scales_the_branch_in_evaluation() -> None:
    svg = picture_of(DRAWN.block("basic", BasicGenes(), 64, survival=0.5), "survival")
    assert _texts(svg, "scale") == ["× 0.5"]


def test_symbols_are_bound_by_name() -> None:
    stem = draw(Genome((Stage("plain", 1, 64, 1, families()["plain"].genes()),), stem=Stem("bare", 16))).stem
    assert stem is not None
    assert _texts(picture_of(stem, "stem", in_channels=3), "conv") == ["3×3, 3 → 16"]


class Undecided(nn.Module):
    """Branches on a value, which no picture can show."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_blocks_that_branch_on_values_are_refused() -> None:
    with pytest.raises(fx.proxy.TraceError):
        block_graph(Part(Undecided, lambda x: x)())


def test_drawing_leaves_the_random_generator_alone() -> None:
    before = torch.random.get_rng_state()
    DRAWN.PICTURES["basic"]()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", DRAWN.PICTURES)
def test_committed_pictures_are_what_the_code_draws(name: str) -> None:
    drawn = DRAWN.PICTURES[name]()
    assert (DOCS / "blocks" / f"{name}.svg").read_bytes() == drawn.encode(), "run python docs/draw_blocks.py"
    assert DRAWN.PICTURES[name]() == drawn


@pytest.mark.parametrize("name", DRAWN.PICTURES)
def test_pictures_stand_alone(name: str) -> None:
    text = (DOCS / "blocks" / f"{name}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    tags = {node.tag.removeprefix(SVG) for node in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "g", "path", "polygon", "text"}
    assert text.count("http") == 1, "the namespace alone"
    assert root.findtext(f"{SVG}title")
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    assert ground.get("fill") == "#ffffff"
    assert {"nan", "inf"}.isdisjoint(re.findall(r"[a-z]+", " ".join(node.get("d", "") for node in root.iter())))


def test_the_page_shows_every_picture_and_no_other() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(blocks/([\w-]+)\.svg\)", PAGE)
    assert sorted(shown) == sorted(DRAWN.PICTURES)
    assert {path.stem for path in (DOCS / "blocks").iterdir()} == set(shown)


def test_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


def _tables(first: str) -> dict[str, list[list[str]]]:
    """The rows of tables whose first heading is `first`, without it and the rule, by what stands in code in it."""
    found: dict[str, list[list[str]]] = {}
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        if heading := re.fullmatch(rf"{first}(?: of `([\w-]+)`)?", rows[0][0]):
            found.setdefault(heading[1] or "", []).extend(rows[2:])
    return found


GENES: dict[str, Any] = {
    **{name: kind.genes for name, kind in families().items() if kind.genes.__module__.startswith("archspace.")},
    "stem": Stem,
    "head": Head,
    "survival": Survival,
    "auxiliary": Auxiliary,
    "regnet": RegNetRule,
    "stage": Stage,
}


def test_every_family_has_a_table_of_genes() -> None:
    assert set(_tables("gene")) == set(GENES)


@pytest.mark.parametrize("name", GENES)
def test_gene_tables_are_those_of_the_dataclasses(name: str) -> None:
    rows = _tables("gene")[name]
    items = [item for item in dataclasses.fields(GENES[name]) if item.name != "genes"]
    assert [row[0] for row in rows] == [f"`{item.name}`" for item in items]
    hints = typing.get_type_hints(GENES[name], localns={"DataclassInstance": object})
    for item, (_, meaning, values, default) in zip(items, rows, strict=True):
        assert meaning
        assert default == ("required" if item.default is dataclasses.MISSING else f"`{_plain(item.default)}`")
        if typing.get_origin(hints[item.name]) is typing.Literal:
            assert re.findall(r"`([^`]+)`", values) == list(typing.get_args(hints[item.name]))


def _plain(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)


QUOTED = _tables("network")[""]


def test_enough_networks_are_quoted() -> None:
    assert len({row[0] for row in QUOTED}) == len(QUOTED) > 30


@pytest.mark.parametrize("row", QUOTED, ids=[row[0].strip("`") for row in QUOTED])
def test_quoted_figures_are_those_of_the_zoo(row: list[str]) -> None:
    name, at, layers, params, macs, error, protocol, source = row
    network = entry(name.strip("`"))
    cost = cost_of(network.genome, network.input, network.classes)
    assert at == f"{'x'.join(map(str, network.input))}, {network.classes}"
    for quoted, figure in ((layers, "layers"), (params, "params"), (macs, "macs")):
        assert int(quoted.replace(",", "")) == getattr(network, figure) == getattr(cost, figure)
    published = network.published
    if "top1_error" in published:
        assert float(error) == published["top1_error"]
        assert protocol == published["error_protocol"]
        assert source == published.get("source_error", "—")
    else:
        assert {error, protocol, source} == {"—"}


def test_quoted_figures_of_the_three_forms_are_exact() -> None:
    (name, rows), *more = _tables("form").items()
    genome = entry(name).genome
    for form, params, macs, flops, acts in rows:
        stages = tuple(
            dataclasses.replace(stage, genes=dataclasses.replace(stage.genes, form=form.strip("`")))
            for stage in genome.stages
        )
        cost = cost_of(dataclasses.replace(genome, stages=stages))
        quoted = [int(figure.replace(",", "")) for figure in (params, macs, flops, acts)]
        assert quoted == [cost.params, cost.macs, cost.flops, cost.acts]
    assert len(rows) == 3
    assert not more


EXAMPLES = re.findall(r"```yaml\n(.+?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_genomes_and_are_built(text: str) -> None:
    genome = read_genome(text, "docs/blocks.md")
    blueprint = draw(genome, (3, 64, 64), 10)
    assert build(blueprint).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_the_page_says_of_its_examples_what_is_so() -> None:
    genomes = [read_genome(text, "docs/blocks.md") for text in EXAMPLES]
    mixed = next(draw(genome) for genome in genomes if len({stage.block for stage in genome.stages}) == 3)
    assert mixed.stages[1].exit is None
    assert sum(run.count for run in mixed.stages[1].runs if "p=" in run.plan.line) == 3
    assert not [run for stage in (mixed.stages[0], mixed.stages[2]) for run in stage.runs if "p=" in run.plan.line]
    assert entry("RegNetY-3.2GF").genome in genomes
    assert Auxiliary((2,), 0.3) in [genome.auxiliary for genome in genomes]
    with_cost = next(genome for genome in genomes if genome.auxiliary.after)
    assert cost_of(with_cost) == cost_of(dataclasses.replace(with_cost, auxiliary=Auxiliary()))
