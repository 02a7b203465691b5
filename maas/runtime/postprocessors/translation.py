"""A text that was made of another one, or of a sound, with how likely it is."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor

TRANSLATED_TEXT, SPOKEN_TEXT, LOG_PROBABILITY = "translation", "text", "log_probability"
TOLERANCE_IN_NATS = 0.01
"""Of a log probability, from machine to machine: a sum over all tokens of a text."""


class TranslationPostprocessor(Postprocessor):
    """Gives texts as they are. Outputs are texts (N,), and `log_probability`, float32 (N,).

    Args:
        text: name of the output that is a text, such as `translation`; `text` is what is said in a sound.
    """

    kind: ClassVar[str] = "translation"
    output: ClassVar[str] = LOG_PROBABILITY

    def __init__(self, text: str = TRANSLATED_TEXT) -> None:
        self.text = text

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns a text, by its name, and `log_probability`, the sum over its tokens, for each row."""
        return [
            {self.text: text, LOG_PROBABILITY: value}
            for text, value in zip(outputs[self.text].tolist(), outputs[LOG_PROBABILITY].tolist(), strict=True)
        ]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns texts (N,) and log_probability (N,)."""
        return {self.text: outputs[self.text], LOG_PROBABILITY: outputs[LOG_PROBABILITY]}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the log probabilities, (N, 1)."""
        return outputs[LOG_PROBABILITY][:, None]

    def tolerated(self, golden: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
        """Returns `TOLERANCE_IN_NATS` for each."""
        return np.full(golden.shape, TOLERANCE_IN_NATS)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Text and log probability."""
        return (TensorSpec(self.text, "BYTES", (-1,)), TensorSpec(LOG_PROBABILITY, "FP32", (-1,)))

    def record(self) -> dict[str, Any]:
        """Kind, and the name of the text where it is no translation."""
        return {"kind": self.kind, **({} if self.text == TRANSLATED_TEXT else {"text": self.text})}
