"""Estimators of scikit-learn as ONNX, by skl2onnx."""

from typing import Any

import onnx

from maas.errors import ExportError
from maas.importing.extras import needed
from maas.importing.graph import one_line

TABLE = "table"


def converted(estimator: Any, columns: int, opset: int) -> onnx.ModelProto:
    """Returns what skl2onnx makes of an estimator; its one input is `table`, float32 (N, columns).

    Raises:
        ExportError: skl2onnx does not know a part of it.
    """
    skl2onnx, types = needed("skl2onnx"), needed("skl2onnx.common.data_types")
    opset = min(opset, skl2onnx.__max_supported_opset__)
    try:
        model: onnx.ModelProto = skl2onnx.to_onnx(
            estimator,
            initial_types=[(TABLE, types.FloatTensorType([None, columns]))],
            target_opset={"": opset, "ai.onnx.ml": 3},
        )
    except Exception as error:  # it raises whatever its converters raise
        raise ExportError(f"skl2onnx cannot convert {type(estimator).__name__}: {one_line(error)}") from error
    return _summed_in_double(model)


def _summed_in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """Lets ensembles of trees add up their leaves in double precision, which ONNX Runtime does for inputs of that type.

    In float32 the sum depends on the order of the trees, and two labels with equally many votes come out unequal.
    """
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            double = f"{node.input[0]}/double_{len(nodes)}"
            nodes.append(onnx.helper.make_node("Cast", [node.input[0]], [double], to=onnx.TensorProto.DOUBLE))
            node.input[0] = double
        nodes.append(node)
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copied)
    return model
