"""The input side of a graph: raw rows become arrays by name. Fitting a codec on data is left to `processors`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from maas.records.signature import TensorSpec

Features: TypeAlias = Mapping[str, NDArray[Any]]
"""One preprocessed row: arrays by name, without a batch axis."""
ModelInputs: TypeAlias = Mapping[str, NDArray[Any]]
"""A graph's inputs for a batch, by name, the batch axis first."""
Outputs: TypeAlias = Mapping[str, NDArray[Any]]
"""A graph's outputs for a batch, by name, the batch axis first."""
Run: TypeAlias = Callable[[ModelInputs], Outputs]
"""Runs a graph or a net on a batch."""


class Codec(Protocol):
    """Reads raw rows of one or several inputs for a graph.

    Work is done in two steps: `preprocess` checks and converts rows one by one, `batch` joins rows of equal `bucket`.
    """

    def preprocess(self, rows: Sequence[Any]) -> list[Features]:
        """Returns the features of each row.

        Raises:
            InputError: a row cannot be understood; the message names the row.
        """
        ...

    def bucket(self, features: Features) -> int:
        """Returns the padded size of a row; rows of equal size share a batch."""
        ...

    def batch(self, features: Sequence[Features]) -> ModelInputs:
        """Returns the graph's inputs for rows of one bucket."""
        ...

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The raw input as tensors: one, or one a column, whose rows are then dictionaries by column."""
        ...


def nbytes_of(features: Features) -> int:
    """Returns the bytes of one preprocessed row."""
    return sum(array.nbytes for array in features.values())
