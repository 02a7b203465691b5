"""Nodes and constants of ONNX, written one after another."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Draft:
    """Nodes and constants to be added to a graph, under names that a source cannot have."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, result: str | None = None, **attributes: Any) -> str:
        """Adds a node and returns the name of its output."""
        name = f"{self.prefix}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result or name], name=name, **attributes))
        return result or name

    def constant(self, values: Any, dtype: type[np.generic]) -> str:
        """Adds a constant and returns its name."""
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name
