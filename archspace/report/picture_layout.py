"""Where the nodes and lines of a graph go: side by side what runs side by side, one below the other what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from archspace.report.picture_graph import Graph, Node
from archspace.report.picture_pieces import (
    BESIDE,
    LANE,
    Edge,
    Link,
    Piece,
    Place,
    Series,
    chains,
    folded,
    places_in,
    span_of,
)

ROW = 20.0
"""Pixels, as all lengths here: the height of a row of a box."""
LETTER = 6.6
FORK = 7.0
"""How far below a box lines part."""
ROUND = 22.0
"""Diameter of a sign, height of a bar."""
APART = 6.0
"""Between lines that enter a sign from the same side."""


@dataclass(frozen=True)
class Box:
    """A node's place; lines leave it at `x`, which need not be its middle."""

    node: Node
    x: float
    top: float
    left: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Line:
    """Corners of a line from one box to the next; `colour` tells apart what runs in lanes side by side, else 0."""

    corners: tuple[tuple[float, float], ...]
    colour: int = 0


@dataclass(frozen=True)
class Layout:
    """A drawn graph in a frame of width x height pixels."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def lay_out(graph: Graph) -> Layout:
    """Places for every node of a graph with one output."""
    sizes = [_size(node) for node in graph.nodes]
    edges = folded(graph)
    for chain in chains(piece for _, _, piece in edges):
        layers = [index for index in chain if graph.nodes[index].kind == "layers"]
        widest = max((sizes[index][0] for index in layers), default=0.0)
        sizes = [(widest, size[1]) if index in layers else size for index, size in enumerate(sizes)]
    ways = _longest_ways(edges, sizes)
    spine = Series(ways[len(sizes) - 1][1])
    placed = list(places_in(spine, 0.0, 0.0, span_of(spine, sizes).height, sizes))
    beside = [edge for edge in edges if edge[2] not in spine.items]
    placed += _off_spine(ways, placed, sizes)
    placed += _beside(beside, placed, sizes)
    places = {item: (x, top) for item, x, top in placed if isinstance(item, int)}
    lanes = {item.edge: x for item, x, _ in placed if isinstance(item, Link) and not item.hidden}
    sources = sorted({source for source, _, _ in beside})
    colours = {piece.edge: 1 + sources.index(source) for source, _, piece in beside if isinstance(piece, Link)}
    boxes = [
        _box(index, node, sizes[index], places[index], graph, lanes, bool(colours))
        for index, node in enumerate(graph.nodes)
    ]
    lines = [Line(tuple(_corners(edge, graph, boxes, lanes)), colours.get(edge, 0)) for edge in range(len(graph.edges))]
    return _framed(boxes, lines)


def _size(node: Node) -> tuple[float, float]:
    """Width and height."""
    if node.kind == "merge":
        return (ROUND if len(node.sign) == 1 else LETTER * len(node.sign) + 20), ROUND
    widest = max(len(row.text) for row in node.rows)
    if node.kind == "layers":
        return max(76.0, LETTER * widest + 14), ROW * len(node.rows)
    return LETTER * widest + 8, 16.0


def _longest_ways(
    edges: Sequence[Edge], sizes: Sequence[tuple[float, float]]
) -> dict[int, tuple[float, tuple[Piece | int, ...]]]:
    """The highest way from the inputs to each node that is left, its foot included.

    That to the output is the spine: all there is, in a graph of series and parallels alone.
    """
    ways: dict[int, tuple[float, tuple[Piece | int, ...]]] = {-1: (0.0, ())}
    for source, target, piece in sorted(edges, key=lambda edge: (edge[1], edge[0])):
        height, items = ways[source]
        height += span_of(piece, sizes).height + sizes[target][1]
        if target not in ways or height > ways[target][0]:
            ways[target] = height, (*items, piece, target)
    return ways


def _reach(placed: Sequence[Place], sizes: Sequence[tuple[float, float]]) -> float:
    return max(x + span_of(item, sizes).right for item, x, _ in placed)


def _off_spine(
    ways: Mapping[int, tuple[float, tuple[Piece | int, ...]]],
    placed: Sequence[Place],
    sizes: Sequence[tuple[float, float]],
) -> Iterator[Place]:
    """Places of nodes that series and parallels leave over, each in a column of its own, as low as its way is high."""
    reach = _reach(placed, sizes)
    there = {item for item, _, _ in placed}
    for node in sorted(ways.keys() - there - {-1}):
        width, height = sizes[node]
        reach += BESIDE + width
        yield node, reach - width / 2, ways[node][0] - height


def _beside(beside: Sequence[Edge], placed: Sequence[Place], sizes: Sequence[tuple[float, float]]) -> Iterator[Place]:
    """Places right of the longest path: pieces with boxes, then lines, which share a lane where they share a source."""
    tops = {item: top for item, _, top in placed if isinstance(item, int)}
    reach = _reach(placed, sizes)
    for source, target, piece in beside:
        if not isinstance(piece, Link):
            span, top = span_of(piece, sizes), tops[source] + sizes[source][1]
            reach += BESIDE + span.left
            yield from places_in(piece, reach, top, tops[target] - top, sizes)
            reach += span.right
    sources = sorted({source for source, _, piece in beside if isinstance(piece, Link)}, reverse=True)
    for source, _, piece in beside:
        if isinstance(piece, Link):
            yield piece, reach + LANE * (1 + sources.index(source)), 0.0


def _box(
    index: int,
    node: Node,
    size: tuple[float, float],
    place: tuple[float, float],
    graph: Graph,
    lanes: Mapping[int, float],
    in_lanes: bool,
) -> Box:
    """A node where it stands; a merge of three or more, or a concatenation, is a bar under all that it merges."""
    (width, height), (x, top) = size, place
    ends = [lanes[edge] for edge, (_, target) in enumerate(graph.edges) if target == index]
    if node.kind == "merge" and not in_lanes and (len(ends) > 2 or len(node.sign) > 1):
        width = max(width, max(ends) - min(ends) + 40)
        return Box(node, x, top, (min(ends) + max(ends) - width) / 2, width, height)
    return Box(node, x, top, x - width / 2, width, height)


def _corners(
    edge: int, graph: Graph, boxes: Sequence[Box], lanes: Mapping[int, float]
) -> Iterator[tuple[float, float]]:
    """From the foot of one box along its lane to the head of the next, or to its side if that is a sign."""
    source, target = (boxes[end] for end in graph.edges[edge])
    lane = lanes[edge]
    yield source.x, source.bottom
    if lane != source.x:
        yield source.x, source.bottom + FORK
        yield lane, source.bottom + FORK
    if target.left <= lane <= target.right:
        yield lane, target.top
        return
    same_side = [
        lanes[other]
        for other, (_, end) in enumerate(graph.edges)
        if end == graph.edges[edge][1] and (lanes[other] - target.x) * (lane - target.x) > 0
    ]
    order = sorted(same_side, key=lambda x: abs(x - target.x)).index(lane)
    y = (target.top + target.bottom) / 2 + APART * (order - (len(same_side) - 1) / 2)
    yield lane, y
    yield (target.right if lane > target.x else target.left), y


def _framed(boxes: Sequence[Box], lines: Sequence[Line]) -> Layout:
    """Moved so that all is at or above zero, and the frame's size."""
    corners = [corner for line in lines for corner in line.corners]
    left = min([box.left for box in boxes] + [x for x, _ in corners])
    right = max([box.right for box in boxes] + [x for x, _ in corners])
    return Layout(
        tuple(replace(box, x=box.x - left, left=box.left - left) for box in boxes),
        tuple(replace(line, corners=tuple((x - left, y) for x, y in line.corners)) for line in lines),
        right - left,
        max(box.bottom for box in boxes),
    )
