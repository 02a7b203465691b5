"""The text that a sound holds, read off the likeliest symbol of each frame."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.base import Postprocessor

BLANK_SYMBOL = 0
"""The symbol of a frame at which no character begins; those of the characters follow it."""
SPEECH_TASK = "automatic-speech-recognition"


class TranscriptionPostprocessor(Postprocessor):
    """Reads the likeliest path through the frames: repeats of a symbol are one character, and blanks are none.

    The graph's output is `probabilities`, float32 (N, F, C), of a blank and of each character; frames after a sound's
    end are blank for certain. The score is the probability of that path, ∏ max p over the frames: the text is at least
    that probable, as other paths may be read alike.

    Args:
        characters: the C − 1 characters, in the order of the graph's output.

    Source:
        Graves et al., Connectionist temporal classification, ICML 2006, §3.2: best path decoding.

    Raises:
        ValueError: there is none, one is no single character, or one is there twice.
    """

    kind: ClassVar[str] = "transcription"
    output: ClassVar[str] = "probabilities"

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = tuple(characters)
        if not self.characters:
            raise ValueError("it has no characters")
        if wrong := [one for one in self.characters if len(one) != 1]:
            raise ValueError(f"{wrong[0][:100]!r} is no single character")
        if twice := [one for one, count in Counter(self.characters).items() if count > 1]:
            raise ValueError(f"the character {twice[0]!r} is there twice")

    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns `{"text": text, "score": probability of its path}` for each row."""
        texts, scores = self._read(outputs)
        return [{"text": text, "score": score} for text, score in zip(texts, scores.tolist(), strict=True)]

    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns text (N,), score (N,) and probabilities (N, F, C)."""
        texts, scores = self._read(outputs)
        named = np.array(texts, dtype=object)
        return {"text": named, "score": scores, "probabilities": outputs["probabilities"]}

    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the probabilities of all frames, (N, F · C)."""
        probabilities = outputs["probabilities"]
        return probabilities.reshape(len(probabilities), -1)

    def ties(self, golden: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Returns whether two symbols of a frame are so close that they may have changed places, (N,)."""
        frames = golden.reshape(len(golden), -1, len(self.characters) + 1)
        second, first = np.moveaxis(np.partition(frames, -2, axis=2)[..., -2:], 2, 0)  # (N, F) each
        is_close: NDArray[np.bool_] = ((first - second).min(axis=1)) <= 2 * allowed.max(axis=1)
        return is_close

    def task_of(self, modality: str) -> str:
        """Returns the field's name of the task."""
        return SPEECH_TASK

    def _read(self, outputs: Outputs) -> tuple[list[str], NDArray[np.float32]]:
        probabilities = outputs["probabilities"]
        best = probabilities.max(axis=2).astype(np.float64)
        return texts_of_paths(probabilities.argmax(axis=2), self.characters), best.prod(axis=1).astype(np.float32)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Text, score and probabilities."""
        return (
            TensorSpec("text", "BYTES", (-1,)),
            TensorSpec("score", "FP32", (-1,)),
            TensorSpec("probabilities", "FP32", (-1, -1, len(self.characters) + 1)),
        )

    def record(self) -> dict[str, Any]:
        """Kind and characters."""
        return {"kind": self.kind, "characters": list(self.characters)}


def texts_of_paths(paths: NDArray[np.integer[Any]], characters: Sequence[str]) -> list[str]:
    """Returns the texts that paths stand for, with single blanks between words and none around them.

    Args:
        paths: a symbol for each frame, (N, F): `BLANK_SYMBOL`, or 1 and more for the characters.
        characters: in their order.

    Example:
        >>> texts_of_paths(np.array([[0, 1, 1, 0, 1, 2, 2]]), "ab")
        ['aab']
    """
    is_read = paths != BLANK_SYMBOL
    is_read[:, 1:] &= paths[:, 1:] != paths[:, :-1]
    pairs = zip(paths, is_read, strict=True)
    found = ("".join(characters[symbol - 1] for symbol in path[read].tolist()) for path, read in pairs)
    return [" ".join(text.split()) for text in found]
