"""Small JSON of nothing but rows of numbers, read without a Python object for each of them (simdjson).

Whatever else a body holds, or however it is wrong, is left to the reader that names faults.
"""

import numpy as np
import simdjson
from numpy.typing import NDArray

from maas.serving.protocols.operations import LARGE_BODY_BYTES
from maas.serving.repository import PredictingDeployment

_PARSER = simdjson.Parser()  # of small bodies; it keeps as much memory as the largest of them took


def takes_number_rows(deployment: PredictingDeployment) -> bool:
    """Whether a row of a model is a flat list of so many floating-point numbers.

    A list of any length is not: it is a sound, of which whole numbers mean something else.
    """
    specs = deployment.signature.inputs
    is_flat = len(specs) == 1 and len(specs[0].shape) == 2 and specs[0].shape[1] > 0
    return is_flat and specs[0].datatype in ("FP32", "FP64")


def number_rows(body: bytes | bytearray, key: str) -> NDArray[np.float64] | None:
    """Returns rows of numbers that JSON holds by one key and nothing beside, as an array (N, K); None otherwise.

    Args:
        body: JSON; a large one is not read here.
        key: name of the rows.

    Example:
        >>> number_rows(b'{"rows": [[1, 2.5], [3, 4]]}', "rows")
        array([[1. , 2.5],
               [3. , 4. ]])
    """
    if len(body) > LARGE_BODY_BYTES:
        return None
    try:
        document = _PARSER.parse(body)
        rows = document[key] if type(document) is simdjson.Object and len(document) == 1 else None
        if type(rows) is not simdjson.Array or not (sizes := [len(row) for row in rows]):  # type: ignore[arg-type]  # what has no length is caught
            return None
        if len(set(sizes)) > 1 or not holds_lists(body, len(sizes) + 1):  # rows of unequal length, or nested ones
            return None
        return np.ndarray((len(sizes), sizes[0]), np.float64, rows.as_buffer(of_type="d"))
    except (ValueError, TypeError, KeyError, RuntimeError):
        return None


def number_row(body: bytes | bytearray, key: str, size: int) -> NDArray[np.float64] | None:
    """Returns the one row of so many numbers that JSON holds by one key and nothing beside, (1, K); None otherwise.

    Args:
        body: JSON; a large one is not read here.
        key: name of the row.
        size: K.

    Example:
        >>> number_row(b'{"row": [1, 2.5]}', "row", 2)
        array([[1. , 2.5]])
    """
    if len(body) > LARGE_BODY_BYTES:
        return None
    try:
        document = _PARSER.parse(body)
        row = document[key] if type(document) is simdjson.Object and len(document) == 1 else None
        if type(row) is not simdjson.Array or len(row) != size or not holds_lists(body, 1):  # or nested ones
            return None
        return np.ndarray((1, size), np.float64, row.as_buffer(of_type="d"))
    except (ValueError, TypeError, KeyError, RuntimeError):
        return None


def holds_lists(body: bytes | bytearray, count: int) -> bool:
    """Returns whether JSON holds exactly so many lists; a bracket in a text counts as one.

    They are few and long: to look for the next one is faster than to count among all bytes.

    Args:
        body: the JSON.
        count: of lists.
    """
    place = -1
    for _ in range(count):
        place = body.find(b"[", place + 1)
        if place < 0:
            return False
    return body.find(b"[", place + 1) < 0
