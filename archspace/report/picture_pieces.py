"""A graph taken apart into series and parallels, and the room that these take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from archspace.report.picture_graph import Graph

LINK, SPARE = 22.0, 14.0
"""Pixels, as all lengths here: of a line between two nodes, and what is added where several leave one."""
BESIDE, LANE = 18.0, 18.0
"""Between boxes side by side, and between a box and a line that passes it."""


@dataclass(frozen=True)
class Link:
    """A line, the number of its edge in the graph; `hidden` where it only holds inputs together."""

    edge: int
    hidden: bool = False


@dataclass(frozen=True)
class Series:
    """Pieces and nodes one after another."""

    items: tuple[Piece | int, ...]


@dataclass(frozen=True)
class Parallel:
    """Pieces side by side, between the same two nodes."""

    pieces: tuple[Piece, ...]


Piece: TypeAlias = Link | Series | Parallel
Edge = tuple[int, int, Piece]
Place = tuple[int | Link, float, float]
"""A node or a line, its x and its upper end."""


@dataclass(frozen=True)
class Span:
    """How far something reaches from its axis, and how high it is."""

    left: float
    right: float
    height: float


def folded(graph: Graph) -> list[Edge]:
    """Edges with all series and parallels folded into pieces; a graph made of those alone leaves one edge.

    Inputs hang on a node -1.
    """
    edges: list[Edge] = [(a, b, Link(number)) for number, (a, b) in enumerate(graph.edges)]
    inputs = [index for index, node in enumerate(graph.nodes) if node.kind == "input"]
    edges += [(-1, index, Link(index, hidden=True)) for index in inputs]
    while True:
        edges = _side_by_side(edges)
        through = next((n for n in range(len(graph.nodes)) if _passes(n, edges)), None)
        if through is None:
            return edges
        before = next(edge for edge in edges if edge[1] == through)
        after = next(edge for edge in edges if edge[0] == through)
        items = (*_items(before[2]), through, *_items(after[2]))
        edges = [edge for edge in edges if edge not in (before, after)] + [(before[0], after[1], Series(items))]


def _side_by_side(edges: list[Edge]) -> list[Edge]:
    folded: dict[tuple[int, int], list[Piece]] = {}
    for source, target, piece in edges:
        folded.setdefault((source, target), []).extend(piece.pieces if isinstance(piece, Parallel) else [piece])
    return [
        (*ends, pieces[0] if len(pieces) == 1 else Parallel(tuple(sorted(pieces, key=_first))))
        for ends, pieces in folded.items()
    ]


def _passes(node: int, edges: list[Edge]) -> bool:
    return sum(edge[1] == node for edge in edges) == sum(edge[0] == node for edge in edges) == 1


def _items(piece: Piece) -> tuple[Piece | int, ...]:
    return piece.items if isinstance(piece, Series) else (piece,)


def _nodes(piece: Piece | int) -> Iterator[int]:
    if isinstance(piece, int):
        yield piece
    elif not isinstance(piece, Link):
        for item in piece.items if isinstance(piece, Series) else piece.pieces:
            yield from _nodes(item)


def chains(pieces: Iterable[Piece]) -> Iterator[list[int]]:
    """The nodes of each series, which look best if they are equally wide."""
    for piece in pieces:
        if isinstance(piece, Series):
            yield [item for item in piece.items if isinstance(item, int)]
            yield from chains(item for item in piece.items if not isinstance(item, int))
        elif isinstance(piece, Parallel):
            yield from chains(piece.pieces)


def _first(piece: Piece) -> tuple[int, int]:
    """Order from left to right: as `forward` comes to the pieces, bare lines last."""
    return min(_nodes(piece), default=10**9), piece.edge if isinstance(piece, Link) else 0


def span_of(piece: Piece | int, sizes: Sequence[tuple[float, float]]) -> Span:
    if isinstance(piece, int):
        width, height = sizes[piece]
        return Span(width / 2, width / 2, height)
    if isinstance(piece, Link):
        return Span(0.0, 0.0, 0.0 if piece.hidden else LINK)
    if isinstance(piece, Series):
        spans = [span_of(item, sizes) for item in piece.items]
        return Span(max(s.left for s in spans), max(s.right for s in spans), sum(s.height for s in spans))
    spans = [span_of(item, sizes) for item in piece.pieces]
    axes = _axes(piece, sizes)
    return Span(
        max(span.left - x for span, x in zip(spans, axes, strict=True)),
        max(span.right + x for span, x in zip(spans, axes, strict=True)),
        max(span.height for span in spans) + SPARE,
    )


def _axes(parallel: Parallel, sizes: Sequence[tuple[float, float]]) -> list[float]:
    """The pieces' axes from that of the whole, in the middle of those with boxes; bare lines go to the right."""
    axes: list[float] = []
    reach = 0.0
    for piece in parallel.pieces:
        span = span_of(piece, sizes)
        gap = LANE if isinstance(piece, Link) else BESIDE + span.left
        axes.append(reach + gap if axes else 0.0)
        reach = axes[-1] + span.right
    full = [x for x, piece in zip(axes, parallel.pieces, strict=True) if not isinstance(piece, Link)] or [0.0]
    middle = (full[0] + full[-1]) / 2
    return [x - middle for x in axes]


def places_in(
    piece: Piece | int, x: float, top: float, height: float, sizes: Sequence[tuple[float, float]]
) -> Iterator[Place]:
    """Where nodes and lines go in a piece that is given `height`, what is spare above and below."""
    if isinstance(piece, (int, Link)):
        yield piece, x, top
    elif isinstance(piece, Parallel):
        for one, axis in zip(piece.pieces, _axes(piece, sizes), strict=True):
            yield from places_in(one, x + axis, top, height, sizes)
    else:
        top += (height - span_of(piece, sizes).height) / 2
        for item in piece.items:
            height = span_of(item, sizes).height
            yield from places_in(item, x, top, height, sizes)
            top += height
