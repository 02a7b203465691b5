"""Rows of several inputs, e.g. a text and columns of a table: each part is read by an ordinary processor."""

import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from msgspec.structs import replace

from maas.errors import BundleError, ConfigError, InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features, ModelInputs
from maas.runtime.processors.base import Processor, load_processor

BUCKET_BITS = 20
"""Of each part's padded size in a row's bucket."""


class CombinedProcessor(Processor):
    """Hands each part of a row to the part's own processor.

    A row is a dictionary by column, or a list of values in the order of `input_specs`. A part that reads columns (the
    tabular one) is given its own columns; any other part, such as a text or a picture, is given the column that is
    called as the part. Model inputs keep the names that the parts give them; where two parts give one name, the
    parts' names come before it: `title_input_ids` and `body_input_ids`.

    Args:
        parts: processor of each part, by name.

    Attributes:
        column_parts: names of the parts that read several columns.

    Raises:
        ConfigError: there are fewer than two parts, one has no name for a folder, or two of them read one column.
    """

    kind: ClassVar[str] = "combined"
    modality: ClassVar[str] = "combined"
    input_name: ClassVar[str] = "row"

    def __init__(self, parts: Mapping[str, Processor]) -> None:
        self.parts = {str(name): part for name, part in parts.items()}
        if len(self.parts) < 2:
            raise ConfigError(
                f"processor.parts names {', '.join(self.parts) or 'nothing'}; a combined processor has two parts or "
                "more. Name e.g. processor.parts.text and processor.parts.columns."
            )
        if wrong := [name for name in self.parts if not _is_folder(name)]:
            raise ConfigError(
                f"processor.parts names {wrong[0]!r}; a part's name has letters, digits and _ alone. Rename the column "
                "with data.source.derived, or in the file."
            )
        self.column_parts = frozenset(name for name, part in self.parts.items() if "properties" in part.row_schema)
        self._specs = tuple(spec for name in self.parts for spec in self._specs_of(name))
        self._columns = [spec.name for spec in self._specs]
        if twice := [name for name, count in Counter(self._columns).items() if count > 1]:
            raise ConfigError(
                f"processor.parts reads the column {twice[0]} twice; a column belongs to one part. Rename the part, or "
                "leave the column out of the other one."
            )
        self._known = frozenset(self._columns)
        self._input_names = self._names_of(lambda part: part.dynamic_axes)
        self._argument_names = self._names_of(lambda part: part.net_arguments)
        self._variable = [name for name, part in self.parts.items() if _is_variable(part)]

    def _specs_of(self, name: str) -> tuple[TensorSpec, ...]:
        specs = self.parts[name].input_specs
        return specs if name in self.column_parts else (replace(specs[0], name=name),)

    def _names_of(self, named: Callable[[Processor], Mapping[str, object]]) -> dict[str, dict[str, str]]:
        """Returns by part what each of its names is called among those of all parts."""
        counts = Counter(name for part in self.parts.values() for name in named(part))
        return {
            part: {name: f"{part}_{name}" if counts[name] > 1 else name for name in named(processor)}
            for part, processor in self.parts.items()
        }

    def fit(self, rows: Sequence[Any]) -> Self:
        """Returns a processor each part of which has learnt from its part of `rows`."""
        return type(self)({name: part.fit(_Projection(self, name, rows)) for name, part in self.parts.items()})

    def preprocess(self, rows: Sequence[Any]) -> list[Features]:
        """Returns the features of each row: those of part `p` are called `p.name`."""
        aligned = [self.by_column(row, index) for index, row in enumerate(rows)]
        found = [self._preprocessed(name, aligned) for name in self.parts]
        return [
            {f"{name}.{own}": array for name, one in zip(self.parts, row, strict=True) for own, array in one.items()}
            for row in zip(*found, strict=True)
        ]

    @property
    def max_pixels(self) -> int | None:
        """The largest picture that is decoded, in any of the parts."""
        return next(iter(self.parts.values())).max_pixels

    @max_pixels.setter
    def max_pixels(self, most: int | None) -> None:
        for part in self.parts.values():
            part.max_pixels = most

    @property
    def decodes_files(self) -> bool:
        """Whether a part does."""
        return any(part.decodes_files for part in self.parts.values())

    def pixels_to_decode(self, row: object) -> int:
        """Returns how many pixels preprocessing a row would decode, in all of its parts."""
        if not isinstance(row, Mapping | list | tuple):
            return 0
        columns = row if isinstance(row, Mapping) else dict(zip(self._columns, row, strict=False))
        return sum(part.pixels_to_decode(columns.get(name)) for name, part in self.parts.items())

    def _preprocessed(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Features]:
        try:
            return self.parts[name].preprocess([self.part_of(name, row) for row in rows])
        except InputError as error:
            if name in self.column_parts:
                raise
            raise InputError(f"{error} (It is the row's {name}.)") from error

    def part_of(self, name: str, row: Mapping[str, Any]) -> Any:
        """Returns what a part's own processor reads of a row by column."""
        if name in self.column_parts:
            return {spec.name: row.get(spec.name) for spec in self.parts[name].input_specs}
        return row.get(name)

    def by_column(self, row: object, index: int = 0) -> Mapping[str, Any]:
        """Returns a row as a dictionary by column.

        Raises:
            InputError: it is neither that nor a list of one value a column, or names a column that no part reads.
        """
        if isinstance(row, Mapping):
            if not row or not row.keys() <= self._known:
                self._refuse_keys(row, index)
            return row
        if isinstance(row, list | tuple) and len(row) == len(self._columns):
            return dict(zip(self._columns, row, strict=True))
        found = f"{len(row)} values" if isinstance(row, list | tuple) else f"a {type(row).__name__}"
        raise InputError(f"Row {index} is {found}; the model takes a dictionary by column: {', '.join(self._columns)}.")

    def _refuse_keys(self, row: Mapping[Any, Any], index: int) -> NoReturn:
        key = next((key for key in row if key not in self._known), None)
        found = "names no column" if not row else f"has the column {reprlib.repr(key)}, which the model does not know"
        raise InputError(f"Row {index} {found}; its columns are {', '.join(self._columns)}.")

    def bucket(self, features: Features) -> int:
        """Returns one number for the padded sizes of all parts whose rows differ in size."""
        key = 0
        for name in self._variable:
            key = key << BUCKET_BITS | self.parts[name].bucket(_own(name, features))
        return key

    def batch(self, features: Sequence[Features]) -> ModelInputs:
        """Returns the model inputs of all parts."""
        return {
            self._input_names[name][own]: array
            for name, part in self.parts.items()
            for own, array in part.batch([_own(name, row) for row in features]).items()
        }

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """A tensor for each column, those of the first part first."""
        return self._specs

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object by column; what a part's own processor does not call missing is required."""
        properties: dict[str, Any] = {}
        for name, part in self.parts.items():
            properties |= part.row_schema["properties"] if name in self.column_parts else {name: part.row_schema}
        required = [name for name in self.parts if name not in self.column_parts]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    @property
    def rows_rule(self) -> str:
        """By what a list holds."""
        return "One input is an object by column; a list of objects is several."

    def is_many(self, value: object) -> bool:
        """A list of lists or dictionaries is many."""
        return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The axes of all parts; those of several parts of varying size have the part's name."""
        return {
            self._input_names[name][own]: {
                axis: f"{name}_{called}" if axis and len(self._variable) > 1 else called
                for axis, called in axes.items()
            }
            for name, part in self.parts.items()
            for own, axes in part.dynamic_axes.items()
        }

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The arguments of all parts."""
        return {
            self._argument_names[name][own]: value
            for name, part in self.parts.items()
            for own, value in part.net_arguments.items()
        }

    def settings(self) -> dict[str, Any]:
        """Kind and settings of each part."""
        return {"parts": {name: part.record() for name, part in self.parts.items()}}

    def save(self, folder: Path) -> None:
        """Lets each part write to its own folder."""
        for name, part in self.parts.items():
            part.save(folder / name)

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Requires records of parts; each part checks its own.

        Raises:
            BundleError: the settings are others.
        """
        parts = settings.get("parts")
        records = parts.items() if isinstance(parts, Mapping) and settings.keys() == {"parts"} else ()
        if not records or not all(_is_folder(name) and isinstance(record, Mapping) for name, record in records):
            raise BundleError(
                f"The combined processor cannot be made with {reprlib.repr(dict(settings))}; it takes kind and "
                "settings of each of its parts by name. Export the model again."
            )

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Loads each part from a folder of its own."""
        return cls({name: load_processor(record, folder / name) for name, record in settings["parts"].items()})


class _Projection(Sequence[Any]):
    """One part of many rows, taken when it is looked at."""

    def __init__(self, processor: CombinedProcessor, name: str, rows: Sequence[Any]) -> None:
        self._processor = processor
        self._name = name
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._taken(self._rows[index], index)

    def __iter__(self) -> Iterator[Any]:
        return (self._taken(row, index) for index, row in enumerate(self._rows))

    def _taken(self, row: object, index: int) -> Any:
        return self._processor.part_of(self._name, self._processor.by_column(row, index))


def _own(name: str, features: Features) -> Features:
    """Returns those features of a row that are a part's, by the part's own names."""
    prefix = f"{name}."
    return {called[len(prefix) :]: array for called, array in features.items() if called.startswith(prefix)}


def _is_variable(part: Processor) -> bool:
    return any(len(axes) > 1 for axes in part.dynamic_axes.values())


def _is_folder(name: object) -> bool:
    """Whether a part's name may be that of a folder below the bundle's own."""
    return isinstance(name, str) and name.isidentifier()
