"""The input side of a graph: raw rows become arrays by name. Fitting a codec on data is left to `processors`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias, overload

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
IsWanted: TypeAlias = Callable[[int], bool]
"""Whether the outputs for a row of a batch are wanted, by its number."""


class ArrayFeatures(Sequence[Features]):
    """Preprocessed rows of one shape that are one array: a batch of them needs no copy.

    Args:
        feature: name of the array.
        array: (N, …).
    """

    def __init__(self, feature: str, array: NDArray[Any]) -> None:
        self.feature, self.array = feature, array

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> Features: ...

    @overload
    def __getitem__(self, place: slice) -> "ArrayFeatures": ...

    def __getitem__(self, place: int | slice) -> "Features | ArrayFeatures":
        found = self.array[place]
        return ArrayFeatures(self.feature, found) if isinstance(place, slice) else {self.feature: found}


def always_wanted(row: int) -> bool:  # noqa: ARG001  any row
    """Returns true: nobody withdraws."""
    return True


class WantedRows(list[Features]):
    """Preprocessed rows of a run that may end sooner: some may not be wanted any more while it goes on.

    Args:
        rows: all of them.
        is_wanted: whether a row's outputs are wanted, by its number, for any thread.
    """

    def __init__(self, rows: Iterable[Features], is_wanted: IsWanted) -> None:
        super().__init__(rows)
        self.is_wanted = is_wanted


class Codec(Protocol):
    """Reads raw rows of one or several inputs for a graph: all of a processor that answering and serving may use.

    Work is done in two steps: `preprocess` checks and converts rows one by one, `batch` joins rows of equal `bucket`.
    `input_name` is what callers call a row; a request body of one of the `media_types` is one row as it stands, and
    `row_keys` are keys of a row that may stand in a body of JSON by themselves, with their schemas in
    `row_key_schemas`; `is_input_optional` says whether they may stand there without the input.
    """

    kind: ClassVar[str]
    modality: ClassVar[str]
    input_name: ClassVar[str]
    media_types: ClassVar[tuple[str, ...]]
    row_keys: ClassVar[tuple[str, ...]]
    is_input_optional: ClassVar[bool]
    max_pixels: int | None

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the features of each row.

        Raises:
            InputError: a row cannot be understood; the message names the row.
        """
        ...

    @property
    def decodes_files(self) -> bool:
        """Whether a text in a row may be a file, whose size does not show how much there is to decode."""
        ...

    def pixels_to_decode(self, row: object) -> int:
        """Returns how many pixels preprocessing a row would decode, by its header alone; 0 where it is no picture."""
        ...

    def bucket(self, features: Features) -> int:
        """Returns the padded size of a row; rows of equal size share a batch."""
        ...

    def slots(self, features: Features) -> int:
        """Returns how many rows of a run a row counts as."""
        ...

    def batch(self, features: Sequence[Features]) -> ModelInputs:
        """Returns the graph's inputs for rows of one bucket."""
        ...

    def perturbations(self) -> tuple[Any, ...]:
        """Returns what can happen to raw rows, where the kind knows more than maas does."""
        ...

    def record(self) -> dict[str, Any]:
        """Returns what a manifest says of it: its kind and its settings."""
        ...

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The raw input as tensors: one, or one a column, whose rows are then dictionaries by column."""
        ...

    @property
    def row_schema(self) -> dict[str, Any]:
        """The JSON Schema of one raw row."""
        ...

    @property
    def row_key_schemas(self) -> dict[str, Any]:
        """The JSON Schema of each of `row_keys`."""
        ...

    @property
    def rows_rule(self) -> str:
        """Which JSON values are several rows, in one sentence."""
        ...

    def is_many(self, value: object) -> bool:
        """Returns whether a JSON value is a list of rows rather than one row.

        Raises:
            InputError: the declared shape leaves open which of both is meant.
        """
        ...


def nbytes_of(features: Features) -> int:
    """Returns the bytes of one preprocessed row."""
    return sum(array.nbytes for array in features.values())
