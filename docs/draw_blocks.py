"""Draws docs/blocks/*.svg, the pictures in docs/blocks.md: `python docs/draw_blocks.py [FOLDER]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blocks.dense import DenseGenes
from archspace.blocks.highway import HighwayGenes
from archspace.blocks.inception import InceptionGenes
from archspace.blocks.plain import PlainGenes
from archspace.blueprint import Blueprint, draw
from archspace.genome import Genome, Head, Stage, Stem, Survival
from archspace.parts.ordering import Order
from archspace.plan import Planned
from archspace.report.picture import side_by_side
from archspace.report.picture_graph import Graph, block_graph, stage_graph

FOLDER = Path(__file__).parent / "blocks"


def block(name: str, genes: Any, width: int, sees: int = 0, stride: int = 1, survival: float = 1.0) -> Planned:
    """The block of a genome's stage that `sees` so many channels (as many as its width if 0)."""
    stages = (Stage("plain", 1, sees or width, 1, PlainGenes()), Stage(name, 1, width, stride, genes))
    genome = Genome(stages, survival=Survival(last=survival))
    return draw(genome).stages[1].runs[0].plan


def dense(genes: DenseGenes, depth: int, stride: int = 1, sees: int = 24) -> Blueprint:
    """A network with one plain and one dense stage."""
    return draw(Genome((Stage("plain", 1, sees, 1, PlainGenes()), Stage("dense", depth, None, stride, genes))))


def stem(kind: Any) -> Graph:
    """What a network does to an image of three channels."""
    planned = draw(Genome((Stage("plain", 1, 64, 1, PlainGenes()),), stem=Stem(kind))).stem
    assert planned is not None
    return block_graph(planned, in_channels=3)


def head(head: Head) -> Graph:
    """From 512 channels to the scores of 1000 classes."""
    return block_graph(draw(Genome((Stage("plain", 1, 512, 1, PlainGenes()),), head=head)).head, num_classes=1000)


def lettered(graphs: Mapping[str, Graph]) -> dict[str, Graph]:
    """Captions with (a), (b), (c) before them."""
    return {f"({letter}) {caption}": graph for letter, (caption, graph) in zip("abcdef", graphs.items(), strict=False)}


def plain() -> str:
    kinds = {"batch": "norm: batch", "batch-and-bias": "norm: batch-and-bias", "none": "norm: none"}
    graphs = {text: block_graph(block("plain", PlainGenes(norm=norm), 64)) for norm, text in kinds.items()}  # type: ignore[arg-type]
    return side_by_side(graphs, "Plain blocks")


def inception() -> str:
    graph = block_graph(block("inception", InceptionGenes(96, 128, 16, 32, 32), 256, sees=192))
    return side_by_side({"": graph}, "Inception block: the first of GoogLeNet")


def highway() -> str:
    graphs = {
        f"gates: {gates}": block_graph(block("highway", HighwayGenes(gates=gates), 64))
        for gates in ("coupled", "uncoupled")
    }
    return side_by_side(graphs, "Highway blocks")


def basic() -> str:
    graphs = {
        "within a stage": block_graph(block("basic", BasicGenes(), 64)),
        "stride 2, shortcut B": block_graph(block("basic", BasicGenes(), 128, 64, 2)),
        "stride 2, shortcut A": block_graph(block("basic", BasicGenes("A"), 128, 64, 2)),
    }
    return side_by_side(lettered(graphs), "Basic residual blocks")


def bottleneck() -> str:
    graphs = {
        "within a stage": block_graph(block("bottleneck", BottleneckGenes(64), 256)),
        "stride_on: 3x3": block_graph(block("bottleneck", BottleneckGenes(128), 512, 256, 2)),
        "stride_on: 1x1": block_graph(block("bottleneck", BottleneckGenes(128, stride_on="1x1"), 512, 256, 2)),
    }
    return side_by_side(lettered(graphs), "Bottleneck residual blocks")


def orderings(name: str, genes: Callable[..., Any], width: int) -> str:
    graphs = {order: block_graph(block(name, genes(order=order), width)) for order in get_args(Order)}
    return side_by_side(lettered(graphs), f"The five orderings of a {name} block")


def wide() -> str:
    genes = BasicGenes(order="full-preactivation", dropout=0.3)
    graphs = {
        "within a stage": block_graph(block("basic", genes, 160)),
        "stride 2, shortcut B": block_graph(block("basic", genes, 320, 160, 2)),
    }
    return side_by_side(lettered(graphs), "Wide pre-activation blocks with dropout")


def forms() -> str:
    graphs = {
        f"form: {form}": block_graph(block("bottleneck", BottleneckGenes(4, 4, form=form), 256))
        for form in ("separate", "concatenated", "grouped")
    }
    return side_by_side(lettered(graphs), "The three forms of cardinality 4")


def squeeze() -> str:
    graph = block_graph(block("bottleneck", BottleneckGenes(16, 4, squeeze=0.25), 64))
    return side_by_side({"": graph}, "Bottleneck block with squeeze-and-excitation")


def dense_layers() -> str:
    between = dense(DenseGenes(12), 1, stride=2, sees=256).stages[1].entry
    assert between is not None
    graphs = {
        f"layer: {layer}": block_graph(dense(DenseGenes(12, layer), 3).stages[1].runs[0].plan, in_width=48)
        for layer in ("basic", "bottleneck")
    }
    return side_by_side(
        lettered({**graphs, "transition, compression: 0.5": block_graph(between)}), "Dense layers and a transition"
    )


def dense_stage() -> str:
    genes = DenseGenes(12, "basic", compression=1.0)
    graph = stage_graph(dense(genes, 3).stages[1])
    return side_by_side({"": graph}, "A dense stage of three layers")


def survival() -> str:
    graph = block_graph(block("basic", BasicGenes(), 64, survival=0.5))
    return side_by_side({"": graph}, "A basic block that survives with probability 0.5, in evaluation")


def stems() -> str:
    kinds = ("imagenet", "googlenet", "regnet", "cifar", "bare", "alexnet")
    return side_by_side({kind: stem(kind) for kind in kinds}, "Stems")


def heads() -> str:
    graphs = {
        "average": head(Head()),
        "average, dropout: 0.2": head(Head(dropout=0.2)),
        "mlp, dropout: 0.5": head(Head("mlp", dropout=0.5)),
    }
    return side_by_side(graphs, "Heads")


PICTURES: dict[str, Callable[[], str]] = {
    "plain": plain,
    "inception": inception,
    "highway": highway,
    "basic": basic,
    "bottleneck": bottleneck,
    "basic-orderings": partial(orderings, "basic", BasicGenes, 64),
    "bottleneck-orderings": partial(orderings, "bottleneck", partial(BottleneckGenes, 64), 256),
    "wide": wide,
    "forms": forms,
    "squeeze": squeeze,
    "dense-layers": dense_layers,
    "dense-stage": dense_stage,
    "survival": survival,
    "stems": stems,
    "heads": heads,
}
"""Each file's name and what draws it."""


def main(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (folder / f"{name}.svg").write_text(picture(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
