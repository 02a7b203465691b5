"""How near the text that is made of a row stays to that of the whole row."""

from difflib import SequenceMatcher
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.explaining.quantities.base import Quantity
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.translation import TranslationPostprocessor


class TranslationQuantity(Quantity):
    """The similarity to the whole row's text, in [0, 1]: characters in common, in their order.

    Source:
        Ratcliff and Obershelp's ratio, 2 · matches / (characters of both), as Python's difflib computes it.
    """

    name: ClassVar[str] = "similarity"

    def __init__(self, postprocessor: TranslationPostprocessor, outputs: Outputs, label: str | None) -> None:
        super().__init__(postprocessor, outputs, label)
        self._text = postprocessor.text
        self._whole = str(outputs[self._text][0])

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the similarities, (N,)."""
        texts = outputs[self._text].tolist()
        return np.array([similarity(self._whole, text) for text in texts])


def similarity(text: str, other: str) -> float:
    """Returns the fraction of the characters of both texts that they have in common, in their order.

    Example:
        >>> similarity("on Monday", "on Sunday")
        0.7777777777777778
    """
    return SequenceMatcher(None, text, other, autojunk=False).ratio()
