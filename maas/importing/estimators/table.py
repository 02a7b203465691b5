"""What flows between the parts of an estimator's graph: tables of float64."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsInt

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.onnx_graphs.building import GraphBuilder

DOUBLE, FLOAT, INT64 = onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


class EstimatorGraphBuilder(GraphBuilder):
    """The nodes of an estimator.

    Args:
        opset: version of ONNX's operators.
    """

    def __init__(self, opset: int) -> None:
        super().__init__("estimator")
        self.opset = opset
        self.thresholds: dict[str, dict[int, list[float]]] = {}
        self._parts = 0

    def note(self, value: str, columns: NDArray[np.int64], thresholds: NDArray[np.float64]) -> None:
        """Notes at which numbers in which columns of a table answers jump."""
        noted = self.thresholds.setdefault(value, {})
        for column, threshold in zip(columns.tolist(), thresholds.tolist(), strict=True):
            noted.setdefault(column, []).append(threshold)

    def add_two(self, operator: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """Adds a node of two outputs."""
        first = self.add(operator, *inputs, **attributes)
        self.nodes[-1].output.append(f"{first}/second")
        return first, f"{first}/second"

    def embed(self, model: onnx.ModelProto, given: Mapping[str, str]) -> list[str]:
        """Adds another model's nodes and constants under names of their own; returns its outputs.

        Args:
            model: of the same versions of operators.
            given: its inputs → values here.
        """
        prefix = f"{self.prefix}/part_{self._parts}/"
        self._parts += 1
        own = onnx.compose.add_prefix(model, prefix)
        for name, value in given.items():
            self.add("Identity", value, result=prefix + name)
        self.nodes += own.graph.node
        self.constants += own.graph.initializer
        return [output.name for output in own.graph.output]


@dataclass(frozen=True)
class GraphTable:
    """A table (N, D) in a graph.

    Args:
        value: the graph's value, float64 (N, D).
        width: D.
        names: names of the columns; empty where there are none.
        texts: column → what each position stands for, of columns of categories; None is a missing or unknown one.
    """

    value: str
    width: int
    names: tuple[str, ...] = ()
    texts: Mapping[int, tuple[str | None, ...]] = field(default_factory=dict)

    def picked(self, columns: Iterable[SupportsInt], builder: EstimatorGraphBuilder) -> "GraphTable":
        """Returns some of the columns, in the given order."""
        chosen = [int(column) for column in columns]
        if chosen == list(range(self.width)):
            return self
        return GraphTable(
            builder.add("Gather", self.value, builder.constant(chosen, np.int64), axis=1),
            len(chosen),
            tuple(self.names[column] for column in chosen) if self.names else (),
            {place: self.texts[column] for place, column in enumerate(chosen) if column in self.texts},
        )


def joined(values: Sequence[str], builder: EstimatorGraphBuilder) -> str:
    """Returns tables side by side."""
    return values[0] if len(values) == 1 else builder.add("Concat", *values, axis=1)


def number(builder: EstimatorGraphBuilder, values: object) -> str:
    """Returns a constant of float64."""
    return builder.constant(values, np.float64)


def one_column(builder: EstimatorGraphBuilder, value: str, column: int) -> str:
    """Returns one column of a table, (N, 1)."""
    return builder.add("Gather", value, builder.constant([column], np.int64), axis=1)


def total(builder: EstimatorGraphBuilder, value: str) -> str:
    """Returns the sums of rows, (N, 1)."""
    return builder.add("ReduceSum", value, builder.constant([1], np.int64), keepdims=1)


def mean(builder: EstimatorGraphBuilder, values: Sequence[str]) -> str:
    """Returns the mean of equal shapes."""
    added = values[0] if len(values) == 1 else builder.add("Sum", *values)
    return builder.add("Div", added, number(builder, len(values)))


def normalised(builder: EstimatorGraphBuilder, values: str, otherwise: object) -> str:
    """Returns rows that add up to 1; in place of a row of zeros, `otherwise`."""
    row = total(builder, values)
    is_zero = builder.add("Equal", row, number(builder, 0))
    return builder.add("Where", is_zero, number(builder, otherwise), builder.add("Div", values, row))


def both_probabilities(builder: EstimatorGraphBuilder, score: str) -> str:
    """Returns both probabilities, (N, 2), of the log-odds of the second class, (N, 1).

    A softmax over (0, z): ONNX Runtime's Sigmoid is 0 from about -18 down.
    """
    zero = builder.add("Sub", score, score)
    return builder.add("Softmax", builder.add("Concat", zero, score, axis=1), axis=1)
