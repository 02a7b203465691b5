"""The log-odds of one label of a set: labels do not compete, so each is explained by itself."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.explaining.quantities.base import Quantity
from maas.explaining.quantities.classification import SMALLEST, label_position
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.multilabel import MultilabelPostprocessor


class MultilabelQuantity(Quantity):
    """log(p / (1 − p)) of a label, which is the logit of its sigmoid; bounded, as the probability is float32.

    Where no label is named it is that of the most probable one, whether or not it reaches its threshold: a row without
    labels is explained by what came nearest.

    Args:
        postprocessor: names the labels.
        outputs: the graph's, for the whole row, N = 1.
        label: label that is explained; None for the most probable one.

    Raises:
        InputError: the model does not know that label.
    """

    name: ClassVar[str] = "log-odds"

    def __init__(self, postprocessor: MultilabelPostprocessor, outputs: Outputs, label: str | None) -> None:
        whole = outputs["probabilities"][0]
        self._index = int(whole.argmax()) if label is None else label_position(postprocessor.labels, label)
        self.label = postprocessor.labels[self._index]

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the log-odds, (N,)."""
        own = outputs["probabilities"][:, self._index].astype(np.float64)
        log_odds: NDArray[np.float64] = np.log(own.clip(min=SMALLEST)) - np.log((1 - own).clip(min=SMALLEST))
        return log_odds
