"""Rows of which only some parts are left."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def only() -> Callable[..., Any]:
    """`only(parts, 0, 3)`: the row of which parts 0 and 3 are kept."""

    def make(parts: Any, *wanted: int) -> Any:
        mask = np.zeros(len(parts.parts), dtype=bool)
        mask[list(wanted)] = True
        return parts.row(mask)

    return make
