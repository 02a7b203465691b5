"""The score of one item of a ranking."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.recommendation import RecommendationPostprocessor
from maas.runtime.rankings import Rankings


class RecommendationQuantity(Quantity):
    """The logit of an item; where a ranking ends before it, the last one's, which its own does not exceed.

    Args:
        postprocessor: names the items.
        outputs: the graph's, for the whole row, N = 1.
        label: item that is explained; None for the first of the ranking.

    Raises:
        InputError: the ranking does not hold that item, or none at all.
    """

    name: ClassVar[str] = "score"

    def __init__(self, postprocessor: RecommendationPostprocessor, outputs: Outputs, label: str | None) -> None:
        ranked = [postprocessor.items[item] for item in Rankings.of(outputs["ranking"]).items[0].tolist() if item >= 0]
        if not ranked:
            raise InputError("The ranking of this row is empty; leave exclude_seen out, or send fewer items.")
        if label is not None and label not in ranked:
            raise InputError(
                f"label is {shortened_value(label)}, which is not among the first {len(ranked)} items of this row; "
                f"they are {', '.join(ranked[:5])}, …."
            )
        self.label = ranked[0] if label is None else label
        self._item = postprocessor.items.index(self.label)

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the scores, (N,)."""
        rankings = Rankings.of(outputs["ranking"])
        scores = rankings.scores.astype(np.float64)
        is_own = rankings.items == self._item
        last = np.maximum(rankings.is_item.sum(axis=1), 1) - 1
        ends = scores[np.arange(len(scores)), last]
        values: NDArray[np.float64] = np.where(is_own.any(axis=1), (scores * is_own).sum(axis=1), ends)
        return values
