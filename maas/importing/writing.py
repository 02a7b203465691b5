"""From a source's own graph to the one file that the line takes on."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import onnx

from maas.importing.meaning import Meaning
from maas.onnx_graphs.building import GraphBuilder, assembled, assembled_name, declared
from maas.onnx_graphs.files import write_checked
from maas.onnx_graphs.reading import Axes
from maas.runtime.codec import ModelInputs


def write_adopted(
    source: onnx.ModelProto,
    out: Path,
    *,
    before: GraphBuilder,
    connected: Mapping[str, str],
    result: str,
    meaning: Meaning,
    examples: ModelInputs,
    axes: Axes,
    output: str,
    opset: int,
) -> None:
    """Writes a source's graph with the model inputs as inputs and the answer as its one output.

    Args:
        source: the graph as its framework wrote it.
        out: the file.
        before: nodes that make the graph's inputs from model inputs.
        connected: the graph's input → a model input, or a value of `before`.
        result: the graph's output that counts.
        meaning: meaning of its numbers.
        examples: model inputs of 2 or more rows.
        axes: model input → axis → name.
        output: the name of the answer.
        opset: opset of a graph whose own is too old.

    Raises:
        ExportError: the graph cannot be written or run.
    """
    after = GraphBuilder("answer")
    result, meaning = _before_sigmoid(source.graph, result, meaning)
    meaning.add_nodes(after, assembled_name(source, result), output)
    model = assembled(source, before, connected, result, after, opset=opset)
    write_checked(declared(model, examples, axes, output, meaning.shape), out, examples, axes)


def _before_sigmoid(graph: onnx.GraphProto, result: str, meaning: Meaning) -> tuple[str, Meaning]:
    """Returns the logit that a Sigmoid at the end of a graph reads, and that it is one; else what was given.

    ONNX Runtime's Sigmoid is 0 below −18; what a logit is drawn as keeps both tails.
    """
    makers = {name: node for node in graph.node for name in node.output}
    maker = makers.get(result)
    if meaning.gives != "probability" or maker is None or maker.op_type != "Sigmoid" or maker.input[0] not in makers:
        return result, meaning
    return maker.input[0], msgspec.structs.replace(meaning, gives="logit")
