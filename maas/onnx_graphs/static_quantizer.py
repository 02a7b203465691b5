"""A graph whose ranges are measured once, and of which any nodes can then be quantised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from maas.onnx_graphs.quantizing import (
    AVERAGING,
    CARRIED,
    WEIGHTED_OPERATORS,
    averages_of_sums,
    carried_nodes,
    quantizer_errors,
)
from maas.onnx_graphs.ranges import RangeMethod, ValueRange, measured_ranges
from maas.onnx_graphs.reading import producers_of, readers_of
from maas.onnx_graphs.smoothing import smoothed
from maas.runtime.codec import ModelInputs

FLOAT_OUTPUTS = ("MatMul", *AVERAGING)
"""Operators whose results leave as fp32 at no cost; rounding them to int8 would lose both time and accuracy."""

_WIDER_BOUNDS = 4
"""Bounds of a Clip that are more times wider than what rows reach are no range: they guard against overflow."""


@dataclass(frozen=True)
class StaticQuantizer:
    """Int8 weights and uint8 inputs of weighted operators, in QDQ form.

    Args:
        graph: as `load_graph` gives it.
        ranges: ranges of the tensors, as onnxruntime keeps them.
        per_channel: whether there is a weight scale for each output channel instead of one for the tensor.
    """

    graph: onnx.ModelProto
    ranges: TensorsData
    per_channel: bool

    @classmethod
    def measured(
        cls,
        graph: onnx.ModelProto,
        nodes: Sequence[str],
        model_inputs: Iterable[ModelInputs],
        *,
        method: RangeMethod,
        coverage: float,
        smoothing: float | None,
        per_channel: bool,
    ) -> Self:
        """Measures the ranges of all that may be quantised.

        Args:
            graph: as `load_graph` gives it.
            nodes: the names of those with weights.
            model_inputs: training rows, batch by batch.
            method: how a range is drawn from its values.
            coverage: fraction of the values that `percentile` keeps.
            smoothing: strength, in [0, 1], by which channels of a MatMul's input are evened out; None for not at all.
            per_channel: a weight scale for each output channel.

        Raises:
            ExportError: the ranges cannot be measured.
        """
        model_inputs = list(model_inputs)
        graph = graph if smoothing is None else smoothed(graph, nodes, model_inputs, smoothing)
        chosen = {*nodes, *carried_nodes(graph), *averages_of_sums(graph, nodes)}
        constants = {one.name for one in graph.graph.initializer}
        touched = [name for node in graph.graph.node if node.name in chosen for name in (*node.input, *node.output)]
        names = [name for name in dict.fromkeys(touched) if name and name not in constants]
        spans = measured_ranges(graph, names, model_inputs, method, coverage)
        ranges = {name: tuple(map(np.float32, span)) for name, span in {**spans, **_clipped(graph, spans)}.items()}
        return cls(graph, TensorsData(CalibrationMethod.MinMax, ranges), per_channel)

    def quantized(self, nodes: Sequence[str]) -> onnx.ModelProto:
        """Returns a graph whose named nodes are quantised, and those that pass int8 on between them.

        Raises:
            ExportError: onnxruntime cannot quantise it.
        """
        quantizer = QDQQuantizer(
            self.graph,
            per_channel=self.per_channel,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=self.ranges,
            nodes_to_quantize=[*nodes, *carried_nodes(self.graph), *averages_of_sums(self.graph, nodes)],
            nodes_to_exclude=[],
            op_types_to_quantize=[*WEIGHTED_OPERATORS, *CARRIED, *AVERAGING],
            extra_options={"DefaultTensorType": 1, "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS)},
        )
        with quantizer_errors("cannot quantise this graph statically"):
            quantizer.quantize_model()
        model: onnx.ModelProto = quantizer.model.model
        _leave_clips_to_rounding_(model.graph)
        _sum_int8_(model.graph)
        quantizer.model.remove_unused_constant()
        quantizer.model.topological_sort()
        return model


def _leave_clips_to_rounding_(graph: onnx.GraphProto) -> None:
    """Takes out, in place, each Clip whose result is only rounded: what lies beyond is rounded to its bounds anyway.

    A value that was rounded before the Clip too is rounded once, in its bounds, for sums that read it as well. A range
    always holds 0, so Clips whose bounds do not are left.
    """
    bounds, results = _bounds(graph), {one.name for one in graph.output}
    for clip in [node for node in graph.node if node.op_type == "Clip"]:
        readers = readers_of(graph, clip.output[0])
        low, high = bounds.get(clip.output[0], (1.0, -1.0))
        is_rounded = readers and all(one.op_type == "QuantizeLinear" for one in readers)
        if low <= 0 <= high and is_rounded and clip.output[0] not in results:
            source, rounding = clip.input[0], _rounding_before(graph, clip)
            for reader in readers:
                reader.input[0] = rounding[0].input[0] if rounding else source
            for node in (*rounding, clip):
                graph.node.remove(node)
            for total in readers_of(graph, source) if rounding else ():
                ONNXModel.replace_node_input(total, source, _restored(graph, readers[0]))


def _sum_int8_(graph: onnx.GraphProto) -> None:
    """Gives sums, in place, the int8 of a summand that is rounded for a layer, where all else about them is int8 too.

    One summand in fp32 would take the other and the sum to fp32 and back.
    """
    producers = producers_of(graph)
    for rounding in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        source = rounding.input[0]
        for total in [node for node in readers_of(graph, source) if node.op_type == "Add"]:
            makers = {producers[name].op_type for name in total.input if name != source and name in producers}
            readers = {node.op_type for node in readers_of(graph, total.output[0])}
            if makers == {"DequantizeLinear"} and readers == {"QuantizeLinear"}:
                ONNXModel.replace_node_input(total, source, _restored(graph, rounding))


def _rounding_before(graph: onnx.GraphProto, clip: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Returns the QuantizeLinear and DequantizeLinear before a Clip, or none where others than sums need them, too.

    The scale of a layer's bias is made with that of its input, which is why layers need them.
    """
    producers = producers_of(graph)
    restoring = producers.get(clip.input[0])
    rounding = producers.get(restoring.input[0]) if restoring else None
    others = {node.op_type for node in readers_of(graph, clip.input[0]) if node.output != clip.output}
    is_result = any(one.name == clip.input[0] for one in graph.output)
    if not restoring or not rounding or is_result or others - {"Add"}:
        return []
    kinds = restoring.op_type, rounding.op_type
    return [rounding, restoring] if kinds == ("DequantizeLinear", "QuantizeLinear") else []


def _restored(graph: onnx.GraphProto, rounding: onnx.NodeProto) -> str:
    """Returns the name of what a QuantizeLinear rounds, in fp32 again."""
    return str(readers_of(graph, rounding.output[0])[0].output[0])


def _clipped(graph: onnx.ModelProto, spans: Mapping[str, ValueRange]) -> dict[str, ValueRange]:
    """Returns the bounds of the tensors that a Clip makes: a net that learnt with them is to be rounded by them.

    Args:
        graph: graph with Clips.
        spans: the ranges that were measured; 0 is inside.
    """
    bounds = {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in _bounds(graph.graph).items()}
    return {
        name: (low, high)
        for name, (low, high) in bounds.items()
        if name in spans and high - low <= _WIDER_BOUNDS * (spans[name][1] - spans[name][0])
    }


def _bounds(graph: onnx.GraphProto) -> dict[str, ValueRange]:
    """Returns the constant bounds of what each Clip makes, by the name of the tensor."""
    constants = {one.name: one for one in graph.initializer}
    found = {}
    for node in graph.node:
        ends = [constants[name] for name in node.input[1:] if name in constants]
        if node.op_type == "Clip" and len(ends) == 2:
            low, high = (float(onnx.numpy_helper.to_array(one)) for one in ends)
            found[node.output[0]] = low, high
    return found
