"""Small requests of version 2 with one flat list of floats, read without a Python object for each of them (simdjson).

Whatever else a body holds, or however it is wrong, is left to the reader that names faults.
"""

from typing import TypeAlias

import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

from maas.serving.protocols.number_rows import holds_lists
from maas.serving.protocols.open_inference.content_types import PACKED
from maas.serving.protocols.open_inference.messages import InferRequest
from maas.serving.protocols.operations import LARGE_BODY_BYTES

FLOATS = frozenset({"FP32", "FP64"})
Numbers: TypeAlias = NDArray[np.float64]
_PARSER = simdjson.Parser()  # of small bodies; it keeps as much memory as the largest of them took


def flat_request(body: bytes | bytearray) -> tuple[InferRequest, Numbers] | None:
    """Returns what a body says beside its numbers, and the numbers (N,); None where it is anything else.

    Args:
        body: JSON; a large one is not read here.
    """
    if len(body) > LARGE_BODY_BYTES:
        return None
    try:
        document = _object(_PARSER.parse(body))
        (tensor,) = map(_object, _array(document["inputs"]))
        lists = 3 + ("outputs" in document)  # inputs, shape, data
        if tensor["datatype"] not in FLOATS or not holds_lists(body, lists):  # as_buffer would flatten nested lists
            return None
        numbers = np.frombuffer(_array(tensor["data"]).as_buffer(of_type="d"))
        head = {name: _plain(tensor[name]) for name in tensor if name != "data"}
        beside = {name: _plain(document[name]) for name in document if name != "inputs"}
        request = msgspec.convert({**beside, "inputs": [head]}, InferRequest)
        parameters = request.inputs[0].parameters or {}
        if "binary_data_size" in parameters or parameters.get("content_type") in PACKED:
            return None
    except (ValueError, TypeError, KeyError, RuntimeError):
        return None
    return request, numbers


def _object(value: object) -> simdjson.Object:
    if not isinstance(value, simdjson.Object):
        raise TypeError("It is no object.")
    return value


def _array(value: object) -> simdjson.Array:
    if not isinstance(value, simdjson.Array):
        raise TypeError("It is no array.")
    return value


def _plain(value: object) -> object:
    """Returns a value that does not depend on the parser."""
    if isinstance(value, simdjson.Array):
        return value.as_list()
    return value.as_dict() if isinstance(value, simdjson.Object) else value
