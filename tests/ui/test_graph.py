"""The layout of graphs: layers, no overlap, few crossings, quick."""

from __future__ import annotations

import random
import time
from itertools import combinations

from pipeline.ui.graph import Drawing, draw


def boxes_overlap(drawing: Drawing) -> list[tuple[str, str]]:
    return [
        (a.id, b.id)
        for a, b in combinations(drawing.boxes, 2)
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


def test_each_node_stands_after_those_that_lead_to_it() -> None:
    drawing = draw(["d", "a", "c", "b"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")])
    x = {box.id: box.x for box in drawing.boxes}
    assert x["a"] < x["b"] < x["c"] < x["d"]
    below = draw(["d", "a", "c", "b"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")], down=True)
    y = {box.id: box.y for box in below.boxes}
    assert y["a"] < y["b"] < y["c"] < y["d"]
    assert (below.width, below.height) != (drawing.width, drawing.height)


def test_source_stands_beside_what_needs_it() -> None:
    drawing = draw(["a", "b", "c", "late"], [("a", "b"), ("b", "c"), ("late", "c")])
    x = {box.id: box.x for box in drawing.boxes}
    assert x["late"] == x["b"]


def test_crossing_that_can_be_avoided_is_avoided() -> None:
    drawing = draw(["a1", "a2", "b1", "b2"], [("a1", "b2"), ("a2", "b1")])
    y = {box.id: box.y for box in drawing.boxes}
    assert (y["a1"] < y["a2"]) == (y["b2"] < y["b1"])


def test_chain_is_a_straight_line() -> None:
    drawing = draw(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert len({box.y for box in drawing.boxes}) == 1


def test_circle_is_drawn_and_harms_nothing() -> None:
    drawing = draw(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "nowhere")])
    assert [(curve.source, curve.target) for curve in drawing.curves] == [("a", "b"), ("b", "c"), ("c", "a")]
    assert boxes_overlap(drawing) == []


def test_nothing_is_drawn_as_nothing() -> None:
    assert draw([], []) == Drawing(0.0, 0.0, (), ())


def test_three_hundred_nodes_are_laid_out_at_once_without_overlap_inside_the_drawing() -> None:
    chance = random.Random(1)
    names = [f"n{number}" for number in range(300)]
    edges = [(names[chance.randrange(max(0, number - 25), number)], names[number]) for number in range(1, 300) for _ in range(2)]
    began = time.perf_counter()
    drawing = draw(names, edges)
    assert time.perf_counter() - began < 2
    assert boxes_overlap(drawing) == []
    assert all(
        box.x >= 0 and box.x + box.width <= drawing.width and box.y >= 0 and box.y + box.height <= drawing.height for box in drawing.boxes
    )
    assert len(drawing.curves) == len(set(edges))
