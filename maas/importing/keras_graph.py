"""Keras nets as ONNX, by torch's exporter."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.errors import ExportError, innermost_cause
from maas.onnx_graphs.reading import Axes
from maas.runtime.codec import ModelInputs

KERAS_OUTPUT = "raw"


class KerasInput(Protocol):
    """What is used of an input that a Keras net declares; its first axis is the batch."""

    name: str
    shape: Sequence[int | None]
    dtype: str


class KerasModel(Protocol):
    """What is used of `keras.Model`, which on torch is a torch module."""

    compiled: bool
    predict_on_batch: Callable[[object], NDArray[Any]]
    compile: Callable[[str, object], None]
    fit: Callable[..., object]
    save: Callable[[Path], None]

    def __call__(self, inputs: object, *, training: bool) -> Tensor:
        """Returns the outputs, (N, …)."""


class _ByPosition(nn.Module):
    """A Keras net that takes model inputs in their order, as torch's exporter gives them.

    Args:
        net: Keras model.
        names: names of the model inputs.
        connected: model input → input of the net; none where the one model input goes to the only input.
    """

    def __init__(self, net: KerasModel, names: Sequence[str], connected: Mapping[str, str]) -> None:
        super().__init__()
        self.net = net
        self.places = {own: list(names).index(name) for name, own in connected.items()}

    def forward(self, *model_inputs: Tensor) -> Tensor:
        given = {own: model_inputs[place] for own, place in self.places.items()} if self.places else model_inputs[0]
        found: Tensor = self.net(given, training=False)
        return found


def exported_keras(
    net: KerasModel, examples: ModelInputs, axes: Axes, opset: int, connected: Mapping[str, str]
) -> onnx.ModelProto:
    """Returns a net as ONNX; its inputs are the model inputs, its output is `raw`.

    Args:
        net: Keras model.
        examples: model inputs of 2 or more rows.
        axes: those of any size: model input → axis → name.
        opset: opset to write.
        connected: model input → input of the net; none where the one model input goes to the only input.

    Raises:
        ExportError: torch's exporter refuses it.
    """
    dims = {name: torch.export.Dim(name) for shape in axes.values() for name in shape.values()}
    shapes = [{axis: dims[name] for axis, name in axes[model_input].items()} for model_input in examples]
    with quiet_keras():
        try:
            program = torch.onnx.export(
                _ByPosition(net, list(examples), connected).eval(),
                tuple(torch.from_numpy(array) for array in examples.values()),
                input_names=list(examples),
                output_names=[KERAS_OUTPUT],
                opset_version=opset,
                dynamo=True,
                external_data=False,
                dynamic_shapes={"model_inputs": tuple(shapes)},
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:  # wraps whatever went wrong inside
            raise ExportError(f"torch cannot export the Keras net: {innermost_cause(error)}.") from error
    if program is None:
        raise ExportError("torch.onnx.export returned nothing.")
    model: onnx.ModelProto = program.model_proto
    return model


@contextmanager
def quiet_keras() -> Iterator[None]:
    """Leaves out warnings that Keras and the exporter give of their own insides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
