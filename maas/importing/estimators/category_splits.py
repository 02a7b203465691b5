"""Splits of trees by sets of categories, written as columns that a tree compares with 0.5."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maas.importing.estimators.table import (
    DOUBLE,
    INT64,
    EstimatorGraphBuilder,
    GraphTable,
    joined,
    number,
    one_column,
    total,
)

SPLIT = 0.5
"""Threshold of a split by category: 0 goes to the left, 1 to the right."""


class CategorySplits:
    """The columns that trees branch at: the table's own, and for each split by category one that is 0 on the left.

    Args:
        table: input of the trees.
        categories: column → how the table writes each of its C categories.
        truncates: whether a number stands for the category that is left of it without its decimals.
    """

    def __init__(
        self, table: GraphTable, categories: Mapping[int, Sequence[float]], *, truncates: bool = False
    ) -> None:
        self.table = table
        self.categories = categories
        self._truncates = truncates
        self._goes_right: list[tuple[int, NDArray[np.bool_]]] = []

    def add(self, column: int, right: NDArray[np.bool_], *, unknown: bool, missing: bool) -> int:
        """Keeps a split to be drawn, and returns the column that a tree branches at.

        Args:
            column: of the table.
            right: bool (C,), whether each category goes to the right.
            unknown: whether any other value does.
            missing: whether a missing value does; of a column of texts, missing ones are unknown.
        """
        self._goes_right.append((column, np.array([unknown, *right, missing], dtype=bool)))
        return self.table.width + len(self._goes_right) - 1

    @property
    def width(self) -> int:
        """Number of columns, those of the splits among them."""
        return self.table.width + len(self._goes_right)

    def add_nodes(self, builder: EstimatorGraphBuilder) -> str:
        """Returns the columns, float64 (N, D + splits by category)."""
        if not self._goes_right:
            return self.table.value
        used = sorted({column for column, _ in self._goes_right})
        drawn_splits = [self._draw_column(column, builder) for column in used]
        order = [place for one in used for place, (column, _) in enumerate(self._goes_right) if column == one]
        in_order = builder.constant(np.argsort(order), np.int64)
        return joined(
            [self.table.value, builder.add("Gather", joined(drawn_splits, builder), in_order, axis=1)], builder
        )

    def _draw_column(self, column: int, builder: EstimatorGraphBuilder) -> str:
        """Returns for each split of a column whether a row goes to the right, 0 or 1 as float64."""
        values = self.categories[column]
        by_place = np.stack([right for of, right in self._goes_right if of == column], axis=1)  # (C + 2, splits)
        one = one_column(builder, self.table.value, column)
        is_missing = builder.add("Cast", builder.add("IsNaN", one), to=DOUBLE)
        if self._truncates and column not in self.table.texts:
            one = builder.add("Mul", builder.add("Sign", one), builder.add("Floor", builder.add("Abs", one)))
        is_category = builder.add("Cast", builder.add("Equal", one, number(builder, [values])), to=DOUBLE)  # (N, C)
        places = total(builder, builder.add("Mul", is_category, number(builder, np.arange(1.0, len(values) + 1))))
        places = builder.add("Add", places, builder.add("Mul", is_missing, number(builder, len(values) + 1)))
        place = builder.add("Reshape", builder.add("Cast", places, to=INT64), builder.constant([-1], np.int64))
        found = builder.add("Gather", builder.constant(by_place, np.uint8), place, axis=0)  # (N, splits)
        return builder.add("Cast", found, to=DOUBLE)
