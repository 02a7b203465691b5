"""From a raw row to its explanation."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from maas.errors import InputError
from maas.explaining.explanation import Explanation
from maas.explaining.parts import Parts, parts_of
from maas.explaining.quantities import Quantity, quantity_of
from maas.explaining.sampling import Mask, Remembered, ValuesOfParts, occlusion, shapley
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor

Method: TypeAlias = Literal["shapley", "occlusion"]
CHUNK_ROWS = 128
"""The most rows that are made at a time: an image's masked variants are each as large as the image."""


class ExplainedModel(Protocol):
    """What explaining needs of a model; a predictor has it."""

    @property
    def processor(self) -> Codec:
        """What reads raw rows."""

    @property
    def postprocessor(self) -> Postprocessor:
        """What names the outputs."""

    def outputs(self, rows: Sequence[Any], /) -> Outputs:
        """Returns the graph's outputs for raw rows, (N, …) each."""


def explain(
    model: Bundle | ExplainedModel,
    row: object,
    *,
    label: str | None = None,
    parts: int | None = None,
    orders: int = 8,
    seed: int = 0,
    method: Method = "shapley",
    baseline: object = None,
) -> Explanation:
    """Returns how much each part of a raw row adds to the model's prediction.

    Args:
        model: a bundle, whose golden inputs are predicted first, or a predictor, wherever it runs.
        row: one raw row, as `predict` takes many.
        label: explains the log-odds of this label; None for the label that the model gives.
        parts: the most parts to cut the row into: words, patches, windows of time, columns.
        orders: in how many random orders the parts are left out; costs up to `orders` × (parts + 1) runs of the model.
        seed: of the orders.
        method: `shapley` shares value − baseline among the parts; `occlusion` leaves out each part alone, one run a
            part, and misses what two parts say alike.
        baseline: what stands in the place of what is left out. Arrays: numbers (zeros). Columns: a row (missing
            values). Images: `mean`, the image's mean colour, or `blur`. Words are cut out, and windows of time silent.

    Raises:
        InputError: the row or an argument cannot be understood.
        BundleError: the bundle's golden predictions are others.

    Example:
        >>> print(explain(bundle, "这是一个很棒的文本"))  # doctest: +SKIP
    """
    _require_counts(parts=parts, orders=orders)
    predictor = model.checked_predictor if isinstance(model, Bundle) else model
    view = parts_of(row, predictor.processor, parts, baseline)
    count = len(view.parts)
    everything, nothing = np.ones((1, count), dtype=bool), np.zeros((1, count), dtype=bool)
    quantity = quantity_of(predictor.postprocessor, predictor.outputs([view.row(everything[0])]), label)
    values_of = Remembered(lambda masks: _values(predictor, view, quantity, masks))
    if method == "shapley":
        attributions = shapley(values_of, count, orders, seed)
    elif method == "occlusion":
        attributions = occlusion(values_of, count)
    else:
        raise InputError(f"method is {method!r}; it must be 'shapley' or 'occlusion'.")
    attributions.setflags(write=False)
    (value,), (empty,) = values_of(everything), values_of(nothing)
    return Explanation(view.parts, attributions, float(value), float(empty), quantity.name, quantity.label, view)


def _values(predictor: ExplainedModel, view: Parts, quantity: Quantity, masks: Mask) -> ValuesOfParts:
    """Returns the number that is explained for each mask, (M,), a chunk of rows at a time."""
    return np.concatenate(
        [
            quantity.values(predictor.outputs([view.row(mask) for mask in masks[start : start + CHUNK_ROWS]]))
            for start in range(0, len(masks), CHUNK_ROWS)
        ]
    )


def _require_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise InputError(f"{name} is {count}; it must be 1 or more.")
