"""A text that was made of another one, or of a sound, with how likely it is."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor

TRANSLATED_TEXT, SPOKEN_TEXT, LOG_PROBABILITY = "translation", "text", "log_probability"
SEGMENTS, LANGUAGE, DURATION = "segments", "language", "duration"
"""Outputs of what is said, and when: passages as objects, codes of languages, and seconds of sounds, (N,) each."""
SEGMENT_KEYS = ("start", "end", "text")
TOLERANCE_IN_NATS = 0.01
"""Of a log probability, from machine to machine: a sum over all tokens of a text."""


class TranslationPostprocessor(Postprocessor):
    """Gives texts as they are. Outputs are texts (N,), and `log_probability`, float32 (N,).

    Args:
        text: name of the output that is a text, such as `translation`; `text` is what is said in a sound.
        has_times: whether there are passages of the text as well, and its language.
    """

    kind: ClassVar[str] = "translation"
    output: ClassVar[str] = LOG_PROBABILITY

    def __init__(self, text: str = TRANSLATED_TEXT, has_times: bool = False) -> None:
        self.text = text
        self.has_times = has_times

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns a text, by its name, and `log_probability`, the sum over its tokens, for each row; and maybe times.

        `segments` are passages with `start` and `end` in seconds and `text`.
        """
        found = [
            {self.text: text, LOG_PROBABILITY: value}
            for text, value in zip(outputs[self.text].tolist(), outputs[LOG_PROBABILITY].tolist(), strict=True)
        ]
        if not self.has_times:
            return found
        more = zip(outputs[LANGUAGE].tolist(), outputs[SEGMENTS].tolist(), strict=True)
        return [
            {**one, LANGUAGE: language, SEGMENTS: [{key: part[key] for key in SEGMENT_KEYS} for part in segments]}
            for one, (language, segments) in zip(found, more, strict=True)
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
        text = {} if self.text == TRANSLATED_TEXT else {"text": self.text}
        return {"kind": self.kind, **text, **({"has_times": True} if self.has_times else {})}
