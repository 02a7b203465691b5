"""What a source gives: tables by split name, each with the columns `input` and `label`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from datasets import Dataset

Table: TypeAlias = Dataset | Mapping[str, Sequence[Any]]
"""Rows as two columns; a mapping of lists where inputs are arrays, bytes, paths or rows, which Arrow would convert."""

Tables: TypeAlias = dict[str, Table]
"""Tables by split name; `all` stands for rows not split yet."""
