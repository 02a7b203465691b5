"""Writing a checkpoint's net as one ONNX file, the same bytes on every run.

The exporter leaks state between exports of one process, so each export has a process of its own:
`python -m maas.exporting.torch_onnx CHECKPOINT EXAMPLES.npz OUT.onnx OPSET`.
"""

import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint

OUTPUT = "probabilities"
LARGEST_BYTES = 1_500_000_000  # protobuf's own limit is 2 GiB


class WithSoftmax(nn.Module):
    """A net whose logits become probabilities, inside the graph.

    Args:
        net: takes its feeds by name.
        names: of the feeds, in the order in which they are given.
    """

    def __init__(self, net: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.names = tuple(names)

    def forward(self, *feeds: Tensor) -> Tensor:
        """Returns probabilities (N, K)."""
        logits: Tensor = self.net(**dict(zip(self.names, feeds, strict=True)))
        return logits.softmax(dim=1)


def to_onnx(checkpoint: Checkpoint, examples: Mapping[str, NDArray[Any]], out: Path, opset: int) -> Path:
    """Exports a checkpoint in a new process.

    Args:
        checkpoint: what to export.
        examples: the graph's inputs for a batch of 2 or more real rows.
        out: the file to write.
        opset: ONNX operator set.

    Returns:
        `out`.

    Raises:
        ExportError: the exporter failed; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arrays = Path(scratch) / "examples.npz"
        np.savez(arrays, allow_pickle=False, **dict(examples))
        paths = [str(path) for path in (checkpoint.folder, arrays, out)]
        command = [sys.executable, "-m", "maas.exporting.torch_onnx", *paths, str(opset)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # where the net was found
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise ExportError(f"{checkpoint.record.net.target} cannot be exported: {_last_lines(done.stderr)}")
    return out


def write_onnx(checkpoint: Checkpoint, examples: Mapping[str, NDArray[Any]], out: Path, opset: int) -> None:
    """Exports a checkpoint in this process; use `to_onnx`.

    Raises:
        ExportError: an axis that must be dynamic was frozen, or the file would be too large.
    """
    axes = checkpoint.processor().dynamic_axes
    dims = {name: torch.export.Dim(name) for shape in axes.values() for name in shape.values()}
    shapes = {feed: {axis: dims[name] for axis, name in shape.items()} for feed, shape in axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            WithSoftmax(checkpoint.net(), list(examples)).eval(),
            tuple(torch.from_numpy(array) for array in examples.values()),
            input_names=list(examples),
            output_names=[OUTPUT],
            opset_version=opset,
            dynamo=True,
            external_data=False,
            dynamic_shapes={"feeds": tuple(shapes[name] for name in examples)},
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing.")
    model = program.model_proto
    _assert_dynamic(model, axes)
    content = stripped(model).SerializeToString(deterministic=True)
    if len(content) > LARGEST_BYTES:
        raise ExportError(f"The model has {len(content)} bytes; one ONNX file holds at most {LARGEST_BYTES}.")
    out.write_bytes(content)


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Removes, in place, what the exporter leaves of itself: metadata, documentation, inferred shapes.

    Inferred shapes go because onnxruntime's quantiser trips over those that the exporter writes.
    """
    model.producer_name, model.producer_version, model.doc_string = "maas", "", ""
    graph = model.graph
    graph.name, graph.doc_string = "main", ""
    del graph.value_info[:]
    for element in [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *model.functions]:
        del element.metadata_props[:]
        element.ClearField("doc_string") if hasattr(element, "doc_string") else None
    return model


def _assert_dynamic(model: onnx.ModelProto, axes: Mapping[str, Mapping[int, str]]) -> None:
    for value in model.graph.input:
        for axis, name in axes.get(value.name, {}).items():
            dim = value.type.tensor_type.shape.dim[axis]
            if not dim.dim_param:
                raise ExportError(
                    f"Axis {axis} ({name}) of input {value.name} was frozen at {dim.dim_value}; it must be dynamic. "
                    "The net branches on a shape, or uses one as a Python number."
                )


def _last_lines(text: str, count: int = 8) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "\n".join([line for line in plain.strip().splitlines() if line.strip()][-count:])


def main() -> None:
    """Exports in this process, as told by the command line."""
    folder, arrays, out, opset = sys.argv[1:]
    with np.load(arrays, allow_pickle=False) as examples:
        write_onnx(Checkpoint.open(folder), dict(examples), Path(out), int(opset))


if __name__ == "__main__":
    main()
