"""What raw rows become before a graph runs, and what it gives: arrays by name."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

ModelInputs: TypeAlias = Mapping[str, NDArray[Any]]
"""A graph's inputs for a batch, by name, the batch axis first."""
Outputs: TypeAlias = Mapping[str, NDArray[Any]]
"""A graph's outputs, likewise."""
Run: TypeAlias = Callable[[ModelInputs], Outputs]
"""Any way of running a graph or a net."""
