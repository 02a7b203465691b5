"""Writing a torch net as one ONNX file, its activation inside."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.errors import ExportError
from maas.onnx_graphs.cleaning import rename_values_
from maas.onnx_graphs.files import require_dynamic, write_graph
from maas.training.heads import TaskHead

UNTAKEN = "maas.output"
"""No value inside a graph is called so: the exporter's own names hold no full stop."""


class Activated(nn.Module):
    """A net whose logits become the graph's output, inside the graph.

    Args:
        net: takes its model inputs by name.
        task_head: what the logits mean.
        names: of the model inputs, in the order in which they are given.
    """

    def __init__(self, net: nn.Module, task_head: TaskHead, names: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.task_head = task_head
        self.names = tuple(names)

    def forward(self, *model_inputs: Tensor) -> Tensor:
        """Returns the graph's output, e.g. probabilities (N, K)."""
        return self.task_head.answered(self.net, dict(zip(self.names, model_inputs, strict=True)))


def write_torch_onnx(
    net: nn.Module,
    task_head: TaskHead,
    *,
    examples: Mapping[str, NDArray[Any]],
    axes: Mapping[str, Mapping[int, str]],
    output: str,
    out: Path,
    opset: int,
) -> None:
    """Exports a net in this process, which should have exported nothing before.

    Args:
        net: net in evaluation mode.
        task_head: what its logits mean.
        examples: the graph's inputs for a batch of 2 or more real rows.
        axes: axes that may have any size: input → axis → name.
        output: name of the graph's output.
        out: file to write.
        opset: ONNX operator set.

    Raises:
        ExportError: an axis that must be dynamic was frozen, or the file would be too large.
    """
    dims = {name: torch.export.Dim(name) for shape in axes.values() for name in shape.values()}
    shapes = {model_input: {axis: dims[name] for axis, name in shape.items()} for model_input, shape in axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            Activated(net, task_head, list(examples)).eval(),
            tuple(torch.from_numpy(array) for array in examples.values()),
            input_names=list(examples),
            output_names=[UNTAKEN],
            opset_version=opset,
            dynamo=True,
            external_data=False,
            dynamic_shapes={"model_inputs": tuple(shapes[name] for name in examples)},
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing.")
    model = program.model_proto  # a new copy at each access
    name_output_(model.graph, output)
    require_dynamic(model, axes)
    write_graph(model, out)


def name_output_(graph: onnx.GraphProto, output: str) -> None:
    """Names a graph's only output; a value inside that has the name already gets another one.

    The exporter names values after what makes them: an `nn.Embedding` gives `embedding`, as a task does.
    """
    names = {UNTAKEN: output, output: f"{output}.inside"}
    rename_values_(graph, lambda name: names.get(name, name))
