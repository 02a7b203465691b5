"""What every processor can do, and how a bundle's processor is found."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, InputError, one_line
from maas.records.signature import TensorSpec
from maas.runtime.codec import ArrayFeatures, Codec, Features, ModelInputs
from maas.runtime.kinds import class_of, require_settings, settings_of_kind

Array: TypeAlias = NDArray[Any]
"""A row of a processor that gives one array a row."""
ROWS_AT_ONCE = 512
"""Rows that are read and encoded together where there are many."""


class Processor(ABC):
    """A codec that can be trained: it turns raw inputs into the arrays that a graph takes.

    A processor is built from its settings, fitted on training inputs where it learns something, and saved with the
    model. `input_name` is what callers call a row; a request body of one of the `media_types` is one row as it stands.
    `row_keys` are keys of a row that may stand in a body of JSON beside that name, or, where `is_input_optional`,
    without it.
    """

    kind: ClassVar[str]
    modality: ClassVar[str]
    input_name: ClassVar[str]
    media_types: ClassVar[tuple[str, ...]] = ()
    row_keys: ClassVar[tuple[str, ...]] = ()
    is_input_optional: ClassVar[bool] = False
    max_pixels: int | None = None
    """The largest picture that is decoded, where rows hold pictures; null for as large as can be."""

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns a processor that has learnt what it needs from training inputs; itself where it learns nothing."""
        return self

    @abstractmethod
    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the features of each row: arrays by name.

        Raises:
            InputError: a row cannot be understood; the message names the row.
        """

    @property
    def decodes_files(self) -> bool:
        """Whether a text in a row may be a file, whose size does not show how much there is to decode."""
        return bool(self.media_types)

    def pixels_to_decode(self, row: object) -> int:
        """Returns how many pixels preprocessing a row would decode, by its header alone; 0 where it is no picture."""
        return 0

    @abstractmethod
    def bucket(self, features: Features) -> int:
        """Returns the padded size of a row; rows of equal size share a batch."""

    def slots(self, features: Features) -> int:
        """Returns how many rows of a run a row counts as: one."""
        return 1

    @abstractmethod
    def batch(self, features: Sequence[Features]) -> ModelInputs:
        """Returns the graph's inputs for a batch, the batch axis first."""

    def perturbations(self) -> tuple[Any, ...]:
        """Returns what can happen to raw rows of a kind of yours (`maas.evidence.robustness.Perturbation`); nothing."""
        return ()

    @property
    @abstractmethod
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The raw input as tensors: one, or one a column, whose rows are then dictionaries by column."""

    @property
    @abstractmethod
    def row_schema(self) -> dict[str, Any]:
        """The JSON Schema of one raw row."""

    @property
    def row_key_schemas(self) -> dict[str, Any]:
        """The JSON Schema of each of `row_keys`."""
        return {}

    @property
    def rows_rule(self) -> str:
        """Which JSON values are several rows, in one sentence: what `is_many` does, for the documentation."""
        return "A list is several inputs."

    @abstractmethod
    def is_many(self, value: object) -> bool:
        """Returns whether a JSON value is a list of rows rather than one row, as the declared shape decides.

        Raises:
            InputError: the declared shape leaves open which of both is meant.
        """

    @property
    @abstractmethod
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The axes of the graph's inputs that may have any size: input → axis → name."""

    @property
    @abstractmethod
    def net_arguments(self) -> dict[str, Any]:
        """What a net may want to know of its input, by parameter name (e.g. `vocabulary_size`); JSON values."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The settings that rebuild this processor, JSON values only."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes what was learnt to `folder`."""

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Requires that settings are such as the class declares for its arguments, their types and bounds.

        Raises:
            BundleError: one is unknown, or cannot be.
        """
        require_settings(settings, cls, f"{cls.kind} processor")

    @classmethod
    @abstractmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds a saved processor."""

    def record(self) -> dict[str, Any]:
        """Returns what a manifest says of this processor: its kind and its settings."""
        return {"kind": self.kind, **self.settings()}


class SingleArrayProcessor(Processor):
    """A processor that gives one array a row. `feature` is the array's name."""

    feature: ClassVar[str]

    @abstractmethod
    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns the array of each row.

        Raises:
            InputError: a row cannot be understood; the message names the row.
        """

    def preprocess(self, rows: Sequence[Any]) -> Sequence[Features]:
        """Returns the array of each row under its name."""
        feature = self.feature
        return [{feature: array} for array in self.arrays(rows)]

    def bucket(self, features: Features) -> int:
        """Returns the number of values, equal for all rows."""
        return features[self.feature].size

    def joined(self, features: Sequence[Features]) -> Array:
        """Returns the arrays of rows of one shape, (N, ...)."""
        if isinstance(features, ArrayFeatures):
            return features.array
        feature = self.feature
        return np.asarray([row[feature] for row in features])


class PackedTextProcessor(SingleArrayProcessor):
    """A processor whose tokens are packed into sequences for training, and padded at the end for a batch of prompts.

    `end` is what they are padded with, `pad_multiple` what lengths are rounded up to.
    """

    modality: ClassVar[str] = "text"
    input_name: ClassVar[str] = "text"
    feature: ClassVar[str] = "token_ids"
    end: int
    pad_multiple: int

    def bucket(self, features: Features) -> int:
        """Returns T rounded up to `pad_multiple`."""
        return -(-len(features[self.feature]) // self.pad_multiple) * self.pad_multiple

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"tokens": int64 (N, T)}`, padded at the end, where no token that is looked at sees it."""
        tokens = np.full((len(features), max(map(self.bucket, features))), self.end, dtype=np.int64)
        for index, row in enumerate(features):
            tokens[index, : len(row[self.feature])] = row[self.feature]
        return {"tokens": tokens}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """BYTES, (N,)."""
        return (TensorSpec("text", "BYTES", (-1,)),)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and tokens."""
        return {"tokens": {0: "batch", 1: "tokens"}}


def in_pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Yields rows, `ROWS_AT_ONCE` at a time."""
    remaining = iter(rows)
    while piece := list(islice(remaining, ROWS_AT_ONCE)):
        yield piece


@contextmanager
def counted_from(start: int) -> Iterator[None]:
    """Adds to an InputError about a numbered row of a piece the row from which on it counts."""
    try:
        yield
    except InputError as error:
        if not start or not str(error).startswith("Row "):
            raise
        raise InputError(f"{error} (Counted from row {start} on.)") from error


def preprocessed_pieces(processor: Codec, rows: Iterable[Any]) -> Iterator[Sequence[Features]]:
    """Yields encoded rows, `ROWS_AT_ONCE` at a time.

    Raises:
        InputError: a row cannot be understood; the message names the row.
    """
    start = 0
    for piece in in_pieces(rows):
        with counted_from(start):
            features = processor.preprocess(piece)
        yield features
        start += len(piece)


def nesting(value: object) -> int:
    """Returns how deeply lists are nested, along the first of each."""
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def processor_class(kind: object) -> type[Processor]:
    """Returns the class of a kind of processor.

    Raises:
        BundleError: no processor of that kind is installed.
    """
    return class_of(kind, Processor, "processor")


def load_processor(record: Mapping[str, Any], folder: Path) -> Processor:
    """Rebuilds the processor that a manifest or a checkpoint describes.

    Args:
        record: its kind and settings.
        folder: where `save` wrote what it had learnt.

    Raises:
        BundleError: no processor of that kind is installed, or it cannot be rebuilt.
    """
    made, settings = processor_class(record.get("kind")), settings_of_kind(record)
    made.check_settings(settings)
    try:
        return made.load(settings, folder)
    except Exception as error:  # a processor's library raises its own where an asset is missing or broken
        shown = reprlib.repr(settings)
        raise BundleError(
            f"The {record['kind']} processor cannot be loaded with {shown}: {one_line(error)}."
        ) from error
