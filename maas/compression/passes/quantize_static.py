"""Int8 weights and uint8 activations whose ranges were measured on training rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from maas.bounds import Count
from maas.compression.graph import CARRIED, WEIGHTED, carried_nodes, load_graph, save_graph, weighted_nodes
from maas.compression.passes.base import Calibration, Feeds
from maas.errors import ExportError

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


@dataclass(frozen=True)
class QuantizeStatic:
    """ONNX Runtime's static quantisation of the weighted operators, in QDQ form.

    Args:
        calibration_rows: training rows whose activations are measured.
        method: how a range is drawn from them.
        per_channel: a weight scale for each output channel instead of one for the tensor.
        keep_head: leave the last weighted node, which makes the logits, in fp32.
    """

    calibration_rows: Count = 256
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    per_channel: bool = True
    keep_head: bool = True
    side: ClassVar[Literal["checkpoint", "onnx"]] = "onnx"

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the quantised model; `parent` and `out` are ONNX files."""
        graph = load_graph(parent)
        nodes = weighted_nodes(graph, keep_head=self.keep_head) + carried_nodes(graph)
        try:
            quantize_static(
                graph,
                out,
                _Reader(calibration.feeds(self.calibration_rows)),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=[*WEIGHTED, *CARRIED],
                per_channel=self.per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                calibrate_method=METHODS[self.method],
                extra_options={"DefaultTensorType": 1},
            )
        except Exception as error:  # the quantiser raises whatever its handlers meet
            raise ExportError(f"onnxruntime cannot quantise this graph statically: {error}") from error
        save_graph(out)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, feeds: Iterator[Feeds]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)
