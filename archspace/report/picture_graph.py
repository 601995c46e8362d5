"""What a block computes, as a small graph: torch.fx follows the `forward` of the built module, so the order is true."""

from __future__ import annotations

import operator
import typing
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from archspace.blueprint import StagePlan
from archspace.parts.shortcut import PaddedIdentity
from archspace.plan import Planned

RowKind = Literal["conv", "linear", "norm", "act", "scale", "pool", "other"]


@dataclass(frozen=True)
class Row:
    """One layer, and what is written on it."""

    kind: RowKind
    text: str


@dataclass(frozen=True)
class Node:
    """Layers that follow each other at once, a merge of several maps (its `sign`), or an end of the graph.

    `tag` is the argument of the plan that these layers came in, given where it first occurs.
    """

    kind: Literal["input", "output", "layers", "merge"]
    rows: tuple[Row, ...] = ()
    sign: str = ""
    tag: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which `forward` meets them, and edges (from, to) between their indices."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


SIGNS: dict[object, str] = {
    operator.add: "+",
    operator.iadd: "+",
    operator.sub: "−",
    operator.mul: "×",
    torch.cat: "concat",
    torch.stack: "+",  # of maps that are summed next
}
ACTIVATIONS: dict[object, str] = {F.relu: "ReLU", torch.relu: "ReLU", torch.sigmoid: "sigmoid", torch.tanh: "tanh"}
UNSEEN: tuple[object, ...] = ("flatten", "sum", torch.cat, torch.stack, torch.flatten)
"""Of a single value: what changes its shape, and merges of one map."""
FOLLOWS = ("norm", "act", "scale")
"""Kinds of rows that join the layers before them."""


def block_graph(planned: Planned, **symbols: float) -> Graph:
    """The graph of one block in eval mode, the open symbols of its plan bound to `symbols`.

    A layer that is given the list of all maps so far (a dense layer) is drawn with three. Raises
    torch.fx.proxy.TraceError where `forward` branches on values.
    """
    planned = planned.bind(**symbols)
    module = _built(planned)
    if list[Tensor] in typing.get_type_hints(module.forward).values():
        return _graph(_OfMaps(module), lambda _: "")
    whole = nn.Sequential(module) if planned.part.is_torch else module  # torch's own would be taken apart
    return _graph(whole, lambda path: _argument(planned, path))


def stage_graph(stage: StagePlan, **symbols: float) -> Graph:
    """The graph of a whole stage as a network runs it in eval mode; raises as block_graph does."""
    blocks = [_built(plan.bind(**symbols)) for run in stage.runs for plan in run.blocks()]
    inside = stage.container.module(*blocks) if stage.container else nn.Sequential(*blocks)
    pieces = {"entry": stage.entry and _built(stage.entry), "blocks": inside, "exit": stage.exit and _built(stage.exit)}
    return _graph(nn.Sequential(OrderedDict((name, piece) for name, piece in pieces.items() if piece)), _block_number)


def _built(planned: Planned) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return planned.build().eval()


class _OfMaps(nn.Module):
    """A layer that takes a list of maps, for a tracer that follows single ones."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x0: Tensor, x1: Tensor, x2: Tensor) -> Any:
        return self.layer([x0, x1, x2])


class _Tracer(fx.Tracer):
    """Takes apart all but torch's own modules and the padded shortcut, which is one thing to a reader."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PaddedIdentity) or super().is_leaf_module(m, module_qualified_name)


def _argument(planned: Planned, path: str) -> str:
    """The innermost argument of a plan in which the module at `path` was given."""
    found = ""
    for step in path.split("."):
        value = planned.arguments.get(step)
        if not isinstance(value, Planned):
            break
        found, planned = step, value
    return found


def _block_number(path: str) -> str:
    first, *rest = path.split(".")
    return f"block {int(rest[0]) + 1}" if rest and first == "blocks" else first


def _graph(module: nn.Module, tag_of: Callable[[str], str]) -> Graph:
    nodes: list[Node] = []
    edges: list[tuple[int, int]] = []
    at: dict[fx.Node, int] = {}
    alone: dict[fx.Node, bool] = {}
    for step in _Tracer().trace(module).nodes:
        sources = list(_sources(step.args))
        alone[step] = len(step.users) == 1
        row = _row(step, module)
        if len(sources) == 1 and row is None and step.op != "output":
            at[step] = at[sources[0]]
            alone[step] &= alone[sources[0]]
            continue
        if row is not None and row.kind in FOLLOWS and alone[sources[0]]:
            before = at[sources[0]]
            if nodes[before].kind == "layers":
                at[step] = before
                nodes[before] = replace(nodes[before], rows=(*nodes[before].rows, row))
                continue
        at[step] = len(nodes)
        edges += [(at[source], len(nodes)) for source in sources]
        nodes.append(_node(step, row, tag_of, {node.tag for node in nodes}))
    return Graph(tuple(nodes), tuple(edges))


def _node(step: fx.Node, row: Row | None, tag_of: Callable[[str], str], used: set[str]) -> Node:
    if step.op == "placeholder":
        return Node("input", (Row("other", step.name if step.name[1:].isdecimal() else "x"),))
    if step.op == "output":
        return Node("output", (Row("other", "y"),))
    if row is None:
        return Node("merge", sign=SIGNS.get(step.target, _name(step)))
    path = str(step.target) if step.op == "call_module" else ["", *step.meta.get("nn_module_stack", ())][-1]
    tag = tag_of(path)
    return Node("layers", (row,), tag="" if tag in used else tag)


def _sources(argument: Any) -> Iterator[fx.Node]:
    """The traced values among a call's arguments, in order."""
    if isinstance(argument, fx.Node):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for item in argument:
            yield from _sources(item)


def _name(step: fx.Node) -> str:
    return step.target if isinstance(step.target, str) else getattr(step.target, "__name__", str(step.target))


def _row(step: fx.Node, module: nn.Module) -> Row | None:
    """What is written on a layer; None for ends, for merges, and for what a picture leaves out."""
    if step.op in ("placeholder", "output") or len(list(_sources(step.args))) > 1 or step.target in UNSEEN:
        return None
    if step.op == "call_module":
        return _module_row(module.get_submodule(str(step.target)))
    if step.target in ACTIVATIONS:
        return Row("act", ACTIVATIONS[step.target])
    numbers = [value for value in step.args if isinstance(value, (int, float))]
    if step.target in SIGNS and numbers:
        return Row("scale", f"{SIGNS[step.target]} {numbers[0]:g}")
    return Row("other", _name(step))


def _module_row(layer: nn.Module) -> Row | None:
    match layer:
        case nn.Identity():
            return None
        case nn.Conv2d():
            return Row("conv", _conv_text(layer))
        case nn.Linear():
            return Row("linear", f"linear, {layer.in_features} → {layer.out_features}")
        case nn.BatchNorm2d():
            return Row("norm", "norm")
        case nn.ReLU():
            return Row("act", "ReLU")
        case nn.Dropout():
            return Row("act", f"dropout {layer.p:g}")
        case nn.MaxPool2d() | nn.AvgPool2d():
            kind = "max" if isinstance(layer, nn.MaxPool2d) else "average"
            return Row("pool", f"{_by(layer.kernel_size)} {kind}-pool{_stride(layer.stride)}")
        case nn.AdaptiveAvgPool2d():
            size = _by(layer.output_size)
            return Row("pool", "global average pool" if size == "1×1" else f"average pool to {size}")
        case PaddedIdentity():
            return Row("other", f"identity{_stride(layer.stride)}, {layer.missing} zero channels")
    return Row("other", type(layer).__name__)


def _conv_text(conv: nn.Conv2d) -> str:
    text = f"{_by(conv.kernel_size)}, {conv.in_channels} → {conv.out_channels}{_stride(conv.stride)}"
    if conv.groups > 1:
        text += f", {conv.groups} groups"
    if conv.bias is None:
        return text
    first, *rest = set(conv.bias.tolist())
    return f"{text}, bias" if rest or not first else f"{text}, bias {first:g}".replace("-", "−")


def _by(size: Any) -> str:
    return f"{size}×{size}" if isinstance(size, int) else "×".join(map(str, size))


def _stride(stride: Any) -> str:
    """`, /2` for a stride of 2, nothing for one of 1."""
    both = {stride} if isinstance(stride, int) else set(stride)
    return "" if both == {1} else f", /{'×'.join(map(str, sorted(both)))}"
