"""What the numbers mean that a source gives, and how they become what an answer takes: in numpy, and in a graph.

Both compute the same; the first makes the reference, the second what ships.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.onnx_graphs.building import GraphBuilder

Gives = Literal["probabilities", "logits", "probability", "logit", "value", "embedding"]
"""(N, K) probabilities or logits of K labels; (N,) or (N, 1) probability or logit of the second of two labels; (N,) or
(N, 1) values; (N, D) vectors."""


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a source's numbers are read.

    Args:
        gives: kind of the numbers.
        order: position of each label of the data among those of the source; none where there are no labels.
    """

    gives: Gives
    order: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes of an answer after the batch axis; None for one that only the source knows."""
        if self.gives == "value":
            return ()
        return (None,) if self.gives == "embedding" else (len(self.order),)

    @property
    def has_tails(self) -> bool:
        """Whether probabilities are made here, of logits, and so keep their digits near 0."""
        return self.gives in ("logit", "logits")

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Returns a source's numbers in the terms of the prediction.

        Args:
            raw: (N, …), as the source gives them.

        Returns:
            float32 (N, K) probabilities, (N,) values or (N, D) vectors.
        """
        flat = np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)
        if self.gives == "logit":
            flat = np.concatenate([-flat, flat], axis=1) / 2  # their softmax is the logistic function, with both tails
        if self.gives in ("logit", "logits"):
            flat = np.exp(flat - flat.max(axis=1, keepdims=True))
            flat /= flat.sum(axis=1, keepdims=True)
        if self.gives == "probability":
            flat = np.concatenate([1 - flat, flat], axis=1)
        if self.gives == "value" and flat.shape[1] == 1:
            flat = flat[:, 0]
        in_order = flat[:, list(self.order)] if self.order and max(self.order) < flat.shape[1] else flat
        return in_order.astype(np.float32)

    def add_nodes(self, builder: GraphBuilder, raw: str, output: str) -> None:
        """Adds the nodes that make the graph's output, as `answer` does.

        Args:
            builder: takes the nodes.
            raw: the name of the source's result, of any type of number.
            output: the name of the graph's output.
        """
        found = builder.add("Flatten", builder.add("Cast", raw, to=1), axis=1)
        if self.gives == "value":
            found = builder.add("Reshape", found, builder.constant([-1], np.int64))
        if self.gives == "logit":
            found = builder.add("Mul", found, builder.constant(0.5, np.float32))
            found = builder.add("Concat", builder.add("Neg", found), found, axis=1)
        if self.gives in ("logit", "logits"):
            found = builder.add("Softmax", found, axis=1)
        if self.gives == "probability":
            other = builder.add("Sub", builder.constant(1, np.float32), found)
            found = builder.add("Concat", other, found, axis=1)
        if self.order != tuple(range(len(self.order))):
            found = builder.add("Gather", found, builder.constant(self.order, np.int64), axis=1)
        builder.add("Identity", found, result=output)


def meaning_of(gives: Gives, labels: Sequence[str] | None, splits: Splits) -> Meaning:
    """Brings a source's labels into the order of the data's.

    Args:
        gives: kind of the source's numbers.
        labels: names in the source's order; None for the data's.
        splits: rows with the data's labels.

    Raises:
        ConfigError: the names are not the same.
    """
    names = list(splits.labels) if labels is None else [str(label) for label in labels]
    if sorted(names) != sorted(splits.labels):
        raise ConfigError(
            f"The model's labels are {', '.join(names)}; those of the data are {', '.join(splits.labels) or 'none'}. "
            "They must be the same names: set model.labels in the order of the model's outputs, or data.labels."
        )
    return Meaning(gives, tuple(names.index(label) for label in splits.labels))


def require_scores(found: NDArray[Any], gives: Gives, splits: Splits) -> None:
    """Checks that answers are what the data's targets want.

    Args:
        found: answers to some rows, as `Meaning.postprocessor` returns them.
        gives: kind of the source's numbers by the recipe.
        splits: rows with the targets.

    Raises:
        ConfigError: they have another shape, or are no probabilities.
    """
    wanted = {"label": ("probabilities", "logits", "probability", "logit"), "number": ("value",)}
    kinds = wanted.get(splits.target, ("embedding",))
    if gives not in kinds:
        raise ConfigError(
            f"model.gives is {gives}; the data has the target {splits.target}. Set model.gives to one of "
            f"{', '.join(kinds)}."
        )
    width = found.shape[1] if found.ndim > 1 else 1
    if splits.target != "none" and width != max(len(splits.labels), 1):
        labels = f"{len(splits.labels)} labels: {', '.join(splits.labels)}" if splits.labels else "1 number to predict"
        raise ConfigError(
            f"The model gives {width} numbers a row; the data has {labels}. Choose other data, or see model.gives."
        )
    if splits.labels and not (np.abs(found.sum(axis=1) - 1) < 1e-3).all():
        raise ConfigError(
            f"The model's {gives} of a row add up to {float(found.sum(axis=1)[0]):g}; probabilities add up to 1. "
            "Set model.gives=logits if that is what they are."
        )
