"""Transcripts: word and character error rates, and how many sounds are transcribed without an error."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.evidence.resampling import interval_of, resampled
from maas.evidence.task_metrics.base import Scores, TaskMetrics, difference_of_logarithms
from maas.evidence.transcript_metrics import ErrorColumns, edit_columns, error_rates
from maas.records.evidence import Interval, Slice
from maas.runtime.postprocessors.transcription import BLANK_SYMBOL, texts_of_paths


class TranscriptionMetrics(TaskMetrics):
    """Reads probabilities (N, F · C) by the likeliest path, and compares the texts with those that were said.

    WER = edits of words / words of the references, over all rows together, CER likewise of characters, as jiwer has
    them; word accuracy is 1 − WER, which is below 0 where more is wrong than was said.
    """

    kind: ClassVar[str] = "transcription"
    drop_scale: ClassVar[Mapping[str, float]] = {"word_accuracy": 100.0, "character_accuracy": 100.0}

    def compute(self, targets: NDArray[Any], predictions: Scores, seed: int = 0) -> dict[str, Interval]:
        """Returns word_accuracy, character_accuracy, wer, cer and exact_match, each with a bootstrap over rows."""
        columns = self._columns(targets, predictions)
        once, many = error_rates(columns.sum(axis=0)), error_rates(resampled(columns, seed))
        return {name: interval_of(float(once[name]), many[name]) for name in once}

    def drop(self, targets: NDArray[Any], parent: Scores, child: Scores, metric: str, seed: int = 0) -> Interval:
        """Returns the hundredths that are lost; of error rates, the hundredths that they rise by."""
        columns = np.concatenate([self._columns(targets, one) for one in (parent, child)], axis=1)
        once, many = columns.sum(axis=0), resampled(columns, seed)
        width = columns.shape[1] // 2
        lost = [
            error_rates(sums[..., :width])[metric] - error_rates(sums[..., width:])[metric] for sums in (once, many)
        ]
        scale = -100.0 if metric in ("wer", "cer") else 100.0
        return interval_of(float(scale * lost[0]), scale * lost[1])

    def agrees(self, reference: Scores, found: Scores) -> NDArray[np.bool_]:
        """Compares texts."""
        pairs = zip(self.texts(reference), self.texts(found), strict=True)
        return np.array([one == other for one, other in pairs], dtype=bool)

    def as_scores(self, targets: NDArray[Any]) -> Scores:
        """Returns probabilities of 0 and 1 whose paths have a blank after each character.

        A character that the model does not know is a blank.
        """
        symbols = {character: number for number, character in enumerate(self.labels, start=1)}
        frames = 2 * max(map(len, targets), default=0) + 1
        paths = np.full((len(targets), frames), BLANK_SYMBOL)
        for path, text in zip(paths, targets, strict=True):
            path[1 : 2 * len(text) : 2] = [symbols.get(character, BLANK_SYMBOL) for character in text]
        plain: Scores = np.eye(self.classes + 1, dtype=np.float32)[paths].reshape(len(paths), -1)
        return plain

    def log_difference(self, reference: Scores, found: Scores) -> float:
        """Compares the probabilities of all symbols at all frames."""
        return difference_of_logarithms(reference, found)

    def slices(self, targets: NDArray[Any] | None, labels: Sequence[str], parent: Scores, child: Scores) -> list[Slice]:
        """Returns none: each text is one of its own."""
        return []

    def texts(self, scores: Scores) -> list[str]:
        """Returns what probabilities (N, F · C) are read as."""
        frames = scores.reshape(len(scores), -1, self.classes + 1)
        return texts_of_paths(frames.argmax(axis=2), self.labels)

    def _columns(self, targets: NDArray[Any], predictions: Scores) -> ErrorColumns:
        return edit_columns(self.texts(predictions), targets.tolist())
