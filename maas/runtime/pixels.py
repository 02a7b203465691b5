"""Raw pixels of callers, arrays or nested lists, to arrays of 8 bits. It neither converts nor resizes.

An `InputError` of this module says what the pixels are; whoever knows which row they were puts that before it.
"""

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.images import MAX_PIXELS, require_picture_size


def pixels_of(row: Any) -> NDArray[np.uint8]:
    """Returns pixels as an array.

    Args:
        row: an array or nested lists of whole numbers from 0 to 255.

    Returns:
        uint8, (H, W), (H, W, 1), (H, W, 3) or with alpha (H, W, 4).

    Raises:
        InputError: it is no such thing, or larger than what is read.
    """
    if not isinstance(row, np.ndarray):
        _require_numbers(row)
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise InputError(
            f"holds lists of unequal length: {error}. Send pixels of shape (H, W) or (H, W, C)."
        ) from error
    if array.dtype.kind not in "iu":
        raise InputError(f"holds values of type {array.dtype}; send pixels as uint8, 0 to 255.")
    if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"has shape {list(array.shape)}; pixels are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).")
    if array.dtype != np.uint8 and (array.min() < 0 or array.max() > 255):
        raise InputError(f"holds values from {array.min()} to {array.max()}; they must lie in [0, 255].")
    require_picture_size(array.shape[1], array.shape[0], MAX_PIXELS, "raw")
    return array.astype(np.uint8, copy=False)


def _require_numbers(row: Any) -> None:
    """Refuses lists that numpy would turn into something large or strange: texts, truth values, depths beyond three."""
    values, kinds = row, set(map(type, row))
    for _ in range(2):
        if kinds and kinds <= {list, tuple}:
            values = list(chain.from_iterable(values))
            kinds = set(map(type, values))
    if not kinds or bool in kinds or not all(issubclass(kind, int | np.integer) for kind in kinds):
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
        raise InputError(f"is a list of {found}; send pixels as whole numbers, 0 to 255, of shape (H, W) or (H, W, C).")
