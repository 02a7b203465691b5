"""From a raw row to its explanation."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

import numpy as np

from maas.errors import InputError
from maas.explaining.explanation import Explanation
from maas.explaining.parts import Parts, parts_of
from maas.explaining.prompts import ContinuedPrompt
from maas.explaining.quantities import Quantity, quantity_of
from maas.explaining.sampling import Mask, Remembered, ValuesOf, ValuesOfParts, occlusion, shapley
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor

if TYPE_CHECKING:  # only a bundle that generates needs jinja2
    from maas.runtime.generation.generator import Prompt

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
    method: Method | None = None,
    baseline: object = None,
) -> Explanation:
    """Returns how much each part of a raw row adds to the model's prediction, or of a prompt to the text after it.

    Args:
        model: a bundle, whose golden inputs are predicted first, or a predictor, wherever it runs.
        row: one raw row, as `predict` takes many; a text or a conversation for a bundle that generates.
        label: explains the log-odds of this label; None for the label that the model gives. Of a model that generates,
            the text whose log probability is explained; None for its own, of at most 32 tokens.
        parts: the most parts to cut the row into: words, patches, windows of time, columns.
        orders: in how many random orders the parts are left out; costs up to `orders` × (parts + 1) runs of the model.
        seed: of the orders.
        method: `shapley` shares value − baseline among the parts; `occlusion` leaves out each part alone, one run a
            part, and misses what two parts say alike. None for `shapley`, and `occlusion` where the model generates.
        baseline: what stands in the place of what is left out. Arrays: numbers (zeros). Columns: a row (missing
            values). Images: `mean`, the image's mean colour, or `blur`. Words are cut out, and windows of time silent.

    Raises:
        InputError: the row or an argument cannot be understood.
        BundleError: the bundle's golden outputs are others.

    Example:
        >>> print(explain(bundle, "这是一个很棒的文本"))  # doctest: +SKIP
    """
    _require_counts(parts=parts, orders=orders)
    if isinstance(model, Bundle) and model.is_generative:
        if baseline is not None:
            raise InputError(f"baseline is {baseline!r}; what is left out of a prompt is cut out. Leave baseline out.")
        prompt = ContinuedPrompt(model.generator, cast("Prompt", row), label, parts)
        return explain_prompt(prompt, method=method, orders=orders, seed=seed)
    predictor = model.checked_predictor if isinstance(model, Bundle) else model
    view = parts_of(row, predictor.processor, parts, baseline)
    whole = view.row(np.ones(len(view.parts), dtype=bool))
    quantity = quantity_of(predictor.postprocessor, predictor.outputs([whole]), label)
    values = partial(_values, predictor, view, quantity)
    return _explanation(view, values, quantity.name, quantity.label, method or "shapley", orders, seed)


def explain_prompt(
    prompt: ContinuedPrompt, *, method: Method | None = None, orders: int = 8, seed: int = 0
) -> Explanation:
    """Returns how much each word of a prompt adds to the log probability of the text after it.

    Args:
        prompt: with the text.
        method: `occlusion` or `shapley`; None for `occlusion`.
        orders: in how many random orders words are left out, by `shapley`.
        seed: of the orders.

    Raises:
        InputError: there is no such method.
        GenerationError: the model fails.
    """
    method = method or "occlusion"
    return _explanation(prompt.view, prompt.values, prompt.quantity, prompt.label, method, orders, seed)


def _explanation(
    view: Parts, values: ValuesOf, quantity: str, label: str | None, method: str, orders: int, seed: int
) -> Explanation:
    """Leaves parts out, and returns what each adds to a number.

    Raises:
        InputError: there is no such method.
    """
    count, values_of = len(view.parts), Remembered(values)
    everything, nothing = np.ones((1, count), dtype=bool), np.zeros((1, count), dtype=bool)
    if method == "shapley":
        attributions = shapley(values_of, count, orders, seed)
    elif method == "occlusion":
        attributions = occlusion(values_of, count)
    else:
        raise InputError(f"method is {method!r}; it must be 'shapley' or 'occlusion'.")
    attributions.setflags(write=False)
    (value,), (empty,) = values_of(everything), values_of(nothing)
    return Explanation(view.parts, attributions, float(value), float(empty), quantity, label, view)


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
