"""Marks of time among the tokens of a transcript: where they may stand, and the passages that they enclose.

A mark is a multiple of 0.02 s from the beginning of what was heard at once. They come in pairs, the end of a passage
and the beginning of the next one; what follows the last pair is heard again, from that moment on.

Source: Radford et al., arXiv:2212.04356, §3.8; transformers 4.57, `WhisperTimeStampLogitsProcessor` and
`WhisperGenerationMixin._retrieve_segment`, whose tokens these are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maas.records.manifest import TimedTranscription

STEP_S = 0.02
"""Seconds between neighbouring marks."""
FRAMES_OF_STEP = 2
"""Frames of the spectrogram in a step."""


@dataclass(frozen=True)
class SpokenPassage:
    """What is said between two moments of a sound.

    Args:
        start_s: of the sound.
        end_s: of the sound.
        tokens: marks among them.
        seek: frame of the sound at which the window begins that it was heard in.
        mean_log_probability: of a token of that window.
    """

    start_s: float
    end_s: float
    tokens: tuple[int, ...]
    seek: int
    mean_log_probability: float


def bar_times_(logits: NDArray[np.float32], written: Sequence[int], settings: TimedTranscription) -> None:
    """Makes tokens impossible that may not follow, because of marks.

    Args:
        logits: of one text, (vocabulary,).
        written: its tokens so far.
        settings: of the model.
    """
    first, end = settings.first_time, settings.end_token
    logits[settings.no_times] = -np.inf
    if not written:
        logits[:first] = -np.inf
        if settings.latest_beginning is not None:
            logits[first + settings.latest_beginning + 1 :] = -np.inf
    elif written[-1] >= first:
        is_pair = len(written) < 2 or written[-2] >= first
        logits[first if is_pair else 0 : None if is_pair else end] = -np.inf
    if marks := [token for token in written if token >= first]:
        is_open = written[-1] >= first and len(written) > 1 and written[-2] < first
        logits[first : marks[-1] if is_open else marks[-1] + 1] = -np.inf
    if _sum_of_logs(logits[first:]) > logits[:first].max(initial=-np.inf):
        logits[:first] = -np.inf


def spoken_passages(
    tokens: Sequence[int], seek: int, frames: int, mean_log_probability: float, settings: TimedTranscription
) -> tuple[list[SpokenPassage], int]:
    """Returns the passages of one window, and how many frames further the next one begins.

    Args:
        tokens: that were written of it, without the end.
        seek: frame of the sound at which it begins.
        frames: of the sound that lie in it.
        mean_log_probability: of a token.
        settings: of the model.
    """
    first, start_s = settings.first_time, seek / FRAMES_OF_STEP * STEP_S

    def passage(part: Sequence[int], begins: int, ends: int) -> SpokenPassage:
        start, end = (round(start_s + steps * STEP_S, 2) for steps in (begins, ends))
        return SpokenPassage(start, end, tuple(part), seek, mean_log_probability)

    is_mark = [token >= first for token in tokens]
    cuts = [place for place in range(1, len(tokens)) if is_mark[place - 1] and is_mark[place]]
    if not cuts:
        marks = [token for token in tokens if token >= first]
        end = marks[-1] - first if marks and marks[-1] != first else frames // FRAMES_OF_STEP
        return [passage(tokens, 0, end)], frames
    is_ended = is_mark[-2:] == [False, True]
    ends = [*cuts, len(tokens)] if is_ended else [*cuts[:-1], cuts[-1] + 1]
    found, start = list[SpokenPassage](), 0
    for place in ends:
        part = tokens[start:place]
        last = part[-2] if place == ends[-1] and not is_ended else part[-1]
        found.append(passage(part, part[0] - first, last - first))
        start = place
    return found, frames if is_ended else (tokens[start - 2] - first) * FRAMES_OF_STEP


def _sum_of_logs(logits: NDArray[np.float32]) -> float:
    """Returns ln Σ exp(x) of numbers that may be −∞."""
    largest = float(logits.max(initial=-np.inf))
    return largest if np.isinf(largest) else largest + float(np.log(np.exp(logits - largest, dtype=np.float64).sum()))
