"""Lays out a directed graph in layers, from left to right or from top to bottom, as a drawing of boxes and curves.

The way of Sugiyama, Tagawa and Toda (1981): each node in a layer after those that lead to it, long edges through a place in each
layer between, the order in each layer by the middle of the neighbours, with the fewest crossings of several sweeps. Positions then
minimize the distances to the neighbours under the distances between boxes, which the pooling of adjacent violators solves exactly.
Some hundred nodes take a tenth of a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 12
_MARGIN = 12.0


@dataclass(frozen=True)
class Box:
    """Where a node is drawn: its upper left corner and its size."""

    id: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Curve:
    """How an edge is drawn: the path of an SVG."""

    source: str
    target: str
    path: str


@dataclass(frozen=True)
class Drawing:
    """A graph as it is drawn; sizes in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


@dataclass
class _Layout:
    """The graph with places on long edges; places are negative numbers, nodes are positions in the list of names."""

    layers: list[list[int]]
    before: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    routes: dict[tuple[int, int], list[int]] = field(default_factory=dict)


def draw(
    names: Sequence[str],
    edges: Iterable[tuple[str, str]],
    *,
    width: float = 168.0,
    height: float = 44.0,
    gap: float = 18.0,
    between: float = 56.0,
    down: bool = False,
) -> Drawing:
    """Draws a graph.

    Args:
        names: The nodes; their order breaks ties.
        edges: Pairs of names; those that would close a circle, or name no node, are drawn but not followed, or left out.
        width: Of a box.
        height: Of a box.
        gap: Least distance between boxes of a layer.
        between: Distance between layers.
        down: From top to bottom instead of from left to right.
    """
    index = {name: position for position, name in enumerate(names)}
    pairs = list(dict.fromkeys((index[a], index[b]) for a, b in edges if a in index and b in index and a != b))
    forward = _without_circles(len(names), pairs)
    layout = _with_places(_layers(len(names), forward), forward)
    _order(layout)
    across, along = (width, height) if down else (height, width)
    centres = _positions(layout, across, gap)
    depth = {node: number for number, layer in enumerate(layout.layers) for node in layer}
    low = min(centres.values(), default=0.0) - across / 2

    def point(node: int) -> tuple[float, float]:
        """Returns the middle of a node or place: along the layers, and across them."""
        return _MARGIN + depth[node] * (along + between) + along / 2, _MARGIN + centres[node] - low

    boxes = []
    for name, node in index.items():
        main, cross = point(node)
        x, y = (cross - across / 2, main - along / 2) if down else (main - along / 2, cross - across / 2)
        boxes.append(Box(name, round(x, 1), round(y, 1), width, height))
    curves = tuple(
        Curve(names[a], names[b], _path([point(node) for node in (a, *layout.routes.get((a, b), ()), b)], along, down=down))
        for a, b in pairs
    )
    extent_along = len(layout.layers) * (along + between) - between + 2 * _MARGIN if names else 0.0
    extent_across = max(centres.values(), default=0.0) + across / 2 - low + 2 * _MARGIN if names else 0.0
    drawn = (extent_across, extent_along) if down else (extent_along, extent_across)
    return Drawing(round(drawn[0], 1), round(drawn[1], 1), tuple(boxes), curves)


def _without_circles(count: int, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the edges without those that lead back to a node on the way to them."""
    after: dict[int, list[int]] = defaultdict(list)
    for a, b in pairs:
        after[a].append(b)
    state = [0] * count
    back: set[tuple[int, int]] = set()
    for root in range(count):
        stack = [(root, iter(after[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            node, rest = stack[-1]
            for target in rest:
                if state[target] == 1:
                    back.add((node, target))
                elif not state[target]:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
                    break
            else:
                state[node] = 2
                stack.pop()
    return [pair for pair in pairs if pair not in back]


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the layer of each node: after all that lead to it, and otherwise as near as can be to what it leads to."""
    before: dict[int, list[int]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        before[b].append(a)
        after[a].append(b)
    waiting = [len(before[node]) for node in range(count)]
    order = [node for node in range(count) if not waiting[node]]
    layer = [0] * count
    for node in order:
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    for node in reversed(order):
        if after[node] and not before[node]:
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer


def _with_places(layer: Sequence[int], edges: Sequence[tuple[int, int]]) -> _Layout:
    layout = _Layout([[] for _ in range(max(layer, default=-1) + 1)])
    for node, depth in enumerate(layer):
        layout.layers[depth].append(node)
    place = 0
    for a, b in edges:
        previous = a
        route = []
        for depth in range(layer[a] + 1, layer[b]):
            place -= 1
            layout.layers[depth].append(place)
            route.append(place)
            layout.after[previous].append(place)
            layout.before[place].append(previous)
            previous = place
        layout.after[previous].append(b)
        layout.before[b].append(previous)
        layout.routes[(a, b)] = route
    return layout


def _order(layout: _Layout) -> None:
    """Orders each layer by the middle of the neighbours, in sweeps there and back; keeps the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layout.layers], _crossings(layout)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        neighbours = layout.before if down else layout.after
        numbers = range(1, len(layout.layers)) if down else range(len(layout.layers) - 2, -1, -1)
        for number in numbers:
            fixed = {node: position for position, node in enumerate(layout.layers[number - 1 if down else number + 1])}
            own = {node: position for position, node in enumerate(layout.layers[number])}
            middle = {node: _middle([fixed[other] for other in neighbours[node]], own[node]) for node in own}
            layout.layers[number].sort(key=lambda node: (middle[node], own[node]))
        crossings = _crossings(layout)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layout.layers], crossings
        if not fewest:
            break
    layout.layers[:] = best


def _middle(positions: list[int], own: int) -> float:
    return sum(positions) / len(positions) if positions else float(own)


def _crossings(layout: _Layout) -> int:
    """Counts the crossings between all neighbouring layers: the inversions of the ends, by a binary indexed tree."""
    total = 0
    for upper, lower in pairwise(layout.layers):
        place = {node: position for position, node in enumerate(lower)}
        ends = [position for node in upper for position in sorted(place[target] for target in layout.after[node])]
        tree = [0] * (len(lower) + 1)
        for seen, end in enumerate(ends):
            position, smaller = end + 1, 0
            while position:
                smaller += tree[position]
                position &= position - 1
            total += seen - smaller
            position = end + 1
            while position <= len(lower):
                tree[position] += 1
                position += position & -position
    return total


def _positions(layout: _Layout, size: float, gap: float) -> dict[int, float]:
    """Returns the middle of each node across the layers."""
    centres: dict[int, float] = {}
    for layer in layout.layers:
        at = 0.0
        for before, node in zip([None, *layer], layer):
            at += _distance(before, node, size, gap)
            centres[node] = at
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        sides: tuple[Mapping[int, list[int]], ...] = (layout.before if down else layout.after,)
        if sweep >= _SWEEPS - 2:
            sides = (layout.before, layout.after)
        for layer in layout.layers if down else reversed(layout.layers):
            wanted = []
            for node in layer:
                near = [centres[other] for side in sides for other in side[node]]
                wanted.append(sum(near) / len(near) if near else centres[node])
            centres |= dict(zip(layer, _spread(layer, wanted, size, gap)))
    return centres


def _distance(before: int | None, node: int, size: float, gap: float) -> float:
    """Returns the least distance of two neighbours' middles; the places of long edges may be closer."""
    if before is None:
        return 0.0
    room = (size if before >= 0 else gap) / 2 + (size if node >= 0 else gap) / 2
    return room + (gap if before >= 0 or node >= 0 else 0.0) * (1.0 if before >= 0 and node >= 0 else 0.5)


def _spread(layer: Sequence[int], wanted: Sequence[float], size: float, gap: float) -> list[float]:
    """Returns the positions nearest to those wanted, by the sum of squares, that keep order and distances."""
    offsets, at = [], 0.0
    for before, node in zip([None, *layer], layer):
        at += _distance(before, node, size, gap)
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []  # sum of weighted wishes, weight, how many
    for node, wish, offset in zip(layer, wanted, offsets):
        weight = 1.0 if node >= 0 else 2.0  # long edges are kept straight
        block = ((wish - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    bases = [total / weight for total, weight, count in blocks for _ in range(count)]
    return [base + offset for base, offset in zip(bases, offsets)]


def _path(points: Sequence[tuple[float, float]], along: float, *, down: bool) -> str:
    """Returns a smooth curve from the end of the first box through the places to the beginning of the last one."""
    half = along / 2
    stops = [(points[0][0] + half, points[0][1])]
    for main, cross in points[1:-1]:
        stops += [(main - half, cross), (main + half, cross)]
    stops.append((points[-1][0] - half, points[-1][1]))
    parts = [f"M{_pair(stops[0], down)}"]
    for number, (start, end) in enumerate(pairwise(stops)):
        if number % 2:
            parts.append(f"L{_pair(end, down)}")
            continue
        bend = (end[0] - start[0]) / 2
        parts.append(f"C{_pair((start[0] + bend, start[1]), down)} {_pair((end[0] - bend, end[1]), down)} {_pair(end, down)}")
    return "".join(parts)


def _pair(point: tuple[float, float], down: bool) -> str:
    x, y = (point[1], point[0]) if down else point
    return f"{x:.1f},{y:.1f}"
