"""Ranked items, the best first."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor
from maas.runtime.rankings import MOST_ITEMS, Rankings, places_of

RECOMMEND_TASK = "recommend"
BY_ITEMS, BY_POPULARITY = "items", "popularity"


class RecommendationPostprocessor(Postprocessor):
    """Names the items of rankings. The graph's output is `ranking`, float32 (N, 2R + 1), as `Rankings` reads it.

    Args:
        items: the K names, in the order of their numbers.

    Raises:
        ValueError: there is none, one is there twice, or there are more than float32 has numbers for.
    """

    kind: ClassVar[str] = "recommendation"
    output: ClassVar[str] = "ranking"

    def __init__(self, items: Sequence[str]) -> None:
        self.items = tuple(items)
        if not 0 < len(self.items) <= MOST_ITEMS:
            raise ValueError(f"it has {len(self.items):,} items; 1 to {MOST_ITEMS:,} can be ranked")
        if len(set(self.items)) < len(self.items):
            raise ValueError("an item is there twice")
        self._names = np.array([*self.items, ""], dtype=object)  # the last one for places without an item

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"items": [{"item": name, "score": score}, …], "by": …}` for each row.

        `by` is `items` where the row's items decide, and `popularity` where the model knows none of them.
        """
        rankings = Rankings.of(outputs["ranking"])
        columns = zip(rankings.items.tolist(), rankings.scores.tolist(), rankings.known.tolist(), strict=True)
        return [
            {
                "items": [
                    {"item": self.items[item], "score": score}
                    for item, score in zip(items, scores, strict=True)
                    if item >= 0
                ],
                "by": BY_ITEMS if known else BY_POPULARITY,
            }
            for items, scores, known in columns
        ]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns items (N, R), the empty text in places without one, scores (N, R) and by (N,)."""
        rankings = Rankings.of(outputs["ranking"])
        by = np.array([BY_POPULARITY, BY_ITEMS], dtype=object)[(rankings.known > 0).astype(np.int64)]
        return {"items": self._names[rankings.items], "scores": rankings.scores, "by": by}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the rankings as they are, (N, 2R + 1)."""
        return outputs["ranking"]

    def scale(self, scores: NDArray[Any]) -> float:
        """Returns the largest score: scores are logits, which float32 has seven digits of."""
        return float(np.abs(Rankings.of(scores).scores).max()) or 1.0

    def tolerated(self, golden: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
        """Returns `tolerance` of the largest score for scores, and none for numbers of items: names are compared."""
        allowed = np.full(golden.shape, np.inf)
        allowed[:, : golden.shape[1] // 2] = tolerance * self.scale(golden)
        allowed[:, -1] = 0.5
        return allowed

    def ties(self, golden: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Returns for which rows two neighbours are so close that they may have changed places, (N,)."""
        rankings = Rankings.of(golden)
        gaps = np.where(rankings.is_item[:, 1:], rankings.scores[:, :-1] - rankings.scores[:, 1:], np.inf)
        is_close: NDArray[np.bool_] = gaps.min(axis=1, initial=np.inf) <= 2 * allowed[:, 0]
        return is_close

    def task_of(self, modality: str) -> str:
        """Returns the name that the path of the server has: /v1/recommend."""
        return RECOMMEND_TASK

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Items, scores, and what they are ranked by."""
        places = places_of(len(self.items))
        return (
            TensorSpec("items", "BYTES", (-1, places)),
            TensorSpec("scores", "FP32", (-1, places)),
            TensorSpec("by", "BYTES", (-1,)),
        )

    def record(self) -> dict[str, Any]:
        """Kind and names of the items."""
        return {"kind": self.kind, "items": list(self.items)}
