"""A model's inputs and outputs as tensors with names, types and shapes. Values are not converted or checked here."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Datatype = Literal["BOOL", "UINT8", "INT8", "INT32", "INT64", "FP32", "FP64", "BYTES"]

NUMPY_TYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One named tensor, in the terms of the Open Inference Protocol.

    Args:
        name: name of the tensor.
        datatype: element type; BYTES holds text.
        shape: sizes, the batch first; -1 stands for any size.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    def matches(self, array: NDArray[np.generic]) -> bool:
        """Whether an array has this rank and these sizes."""
        return array.ndim == len(self.shape) and all(
            wanted in (-1, found) for wanted, found in zip(self.shape, array.shape, strict=True)
        )


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tensors that a caller sends and receives: raw inputs, and not the graph's own."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
