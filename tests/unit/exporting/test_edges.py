"""Rows at the edges: each kind that a processor lets in, and none that it refuses."""

import numpy as np

from maas.exporting.edges import UNSEEN, edge_rows
from maas.importing.base import LARGEST_FLOAT32
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

ROWS = [{"a": 1.0, "b": 2.0, "kind": "x"}, {"a": 3.0, "b": 4.0, "kind": "y"}]


def test_rows_hold_missing_unseen_and_extreme_values_when_columns_have_names():
    processor = TabularProcessor(["a", "b"], ["kind"]).fit(ROWS)
    edges = edge_rows(processor, ROWS, {})
    assert {"a": None, "b": 2.0, "kind": "x"} in [edge.row for edge in edges if edge.kind == "missing"]
    assert dict.fromkeys(("a", "b", "kind")) in [edge.row for edge in edges if edge.kind == "missing"]
    assert [edge.row["kind"] for edge in edges if edge.kind == "unseen"] == [UNSEEN, UNSEEN]
    assert sorted(edge.row["b"] for edge in edges if edge.kind == "extreme") == [
        -LARGEST_FLOAT32,
        2.0,
        2.0,
        LARGEST_FLOAT32,
    ]
    assert processor.arrays([edge.row for edge in edges if edge.kind == "unseen"])[0][2] == 0


def test_thresholds_stand_between_their_float32_neighbours_when_a_model_has_some():
    processor = TabularProcessor(["a", "b"]).fit([[1.0, 2.0]])
    edges = edge_rows(processor, [[1.0, 2.0]], {"numbers": {1: [0.1, 5.0, np.inf]}})
    values = [edge.row["b"] for edge in edges if edge.kind == "equal"]
    below = np.nextafter(np.float32(0.1), np.float32(0))
    assert values[:3] == [0.1, float(below), float(np.float32(0.1))]  # float32(0.1) is above 0.1
    near_five = [float(np.nextafter(np.float32(5), np.float32(side))) for side in (0, 9)]
    assert values[3:] == [5.0, *near_five]


def test_every_tree_keeps_some_thresholds_when_there_are_many():
    processor = TabularProcessor(["a"]).fit([[1.0]])
    edges = edge_rows(processor, [[1.0]], {"numbers": {0: list(np.linspace(-1, 1, 5000))}})
    equal = [edge.row["a"] for edge in edges if edge.kind == "equal"]
    assert len(equal) == 600
    assert {-1.0, 1.0} <= set(equal)


def test_values_stay_in_the_range_when_an_array_has_one():
    processor = ArrayProcessor([2, 2], low=0, high=16)
    edges = edge_rows(processor, [np.ones((2, 2))], {"features": {3: [0.5, 99.0]}})
    assert {edge.kind for edge in edges} == {"extreme", "equal"}
    assert all(edge.row.shape == (2, 2) for edge in edges)
    assert sorted({float(edge.row.flat[3]) for edge in edges if edge.kind == "equal"})[1] == 0.5
    assert max(edge.row.max() for edge in edges) == 16


def test_there_are_no_edges_when_rows_are_texts(text_processor):
    assert edge_rows(text_processor, ["a text"], {}) == []


def test_rows_are_few_when_an_array_holds_a_picture():
    processor = ArrayProcessor([3, 100, 100], low=0, high=255)
    edges = edge_rows(processor, [np.zeros((3, 100, 100))], {})
    assert len(edges) == 200
    changed = {int(np.flatnonzero(edge.row)[0]) for edge in edges if edge.row.any()}
    assert {0, 29999} <= changed
