"""What a source gives: tables by split name, each with the columns `input` and `label`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from datasets import Dataset

from maas.data.mapped import Column, arrow_parts

Table: TypeAlias = Dataset | Mapping[str, Sequence[Any]]
"""Rows as two columns: those of a data set, or sequences, lists and columns that are read from a disk when asked."""

Tables: TypeAlias = dict[str, Table]
"""Tables by split name; `all` stands for rows not split yet."""


def column_of(table: Table, name: str) -> Sequence[Any]:
    """Returns a column as a sequence of which slices can be read."""
    return Column(arrow_parts(table), [name]) if isinstance(table, Dataset) else table[name]
