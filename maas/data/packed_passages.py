"""Conversations packed whole into sequences: an answer stays behind what it answers, and attention in its conversation.

The passages of a split lie in the cache one after the other, by what they were made of, and are mapped.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.packing import (
    NO_TARGET,
    PackedTexts,
    Sequences,
    Tokenising,
    inputs_and_targets,
    kept_tokens,
    require_tokenising,
)
from maas.runtime.generation.passages import Passage
from maas.runtime.processors import Processor

TOKEN = np.dtype([("token", "<u4"), ("is_predicted", "?")])
PASSAGES, STOPS = "passages.bin", "stops.bin"
OPEN_SEQUENCES = 64
"""Sequences that passages may still join; of more, the one with the least room is closed."""

log = logging.getLogger("maas")


class PackedPassages:
    """The sequences of some rows, by number; what is left of one is padding without targets.

    Texts longer than a sequence are cut into several pieces. Longer conversations lose their beginnings.

    Args:
        processor: fitted; `max_tokens` is the length T of a sequence.
        inputs: texts and conversations, which may lie on a disk.

    Raises:
        InputError: a row is neither.
    """

    def __init__(self, processor: Tokenising, inputs: Sequence[Any]) -> None:
        self.length = processor.max_tokens
        self._tokens, stops = _stored(processor, inputs)
        self._pieces = [piece for bounds in _bounds(stops) for piece in self._pieces_of(*bounds)]
        self._sequences = packed([stop - start - 1 for start, stop in self._pieces], self.length)
        self._report_cut(stops)

    def __len__(self) -> int:
        return len(self._sequences)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Sequences:
        """Returns the sequences of these numbers; padding is a document of its own."""
        shape = len(indices), self.length
        tokens, documents = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        targets = np.full(shape, NO_TARGET, np.int64)
        for row, index in enumerate(indices):
            place = 0
            for number, piece in enumerate(self._sequences[index], start=1):
                inputs, wanted = inputs_and_targets(self._passage(*self._pieces[piece]))
                part = slice(place, place + len(inputs))
                tokens[row, part], documents[row, part], targets[row, part] = inputs, number, wanted
                place = part.stop
        return Sequences(tokens, documents, targets)

    def _pieces_of(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yields where the pieces of a passage begin and end; those of a text share a token each."""
        if stop - start <= self.length + 1:
            if stop - start > 1:
                yield start, stop
        elif self._passage(start, stop).is_text:
            for first in range(start, stop - 1, self.length):
                yield first, min(first + self.length + 1, stop)
        else:
            yield stop - self.length - 1, stop

    def _report_cut(self, stops: NDArray[np.int64]) -> None:
        """Logs how many conversations have lost their beginnings."""
        longer = [bounds for bounds in _bounds(stops) if bounds[1] - bounds[0] > self.length + 1]
        if cut := sum(not self._passage(*bounds).is_text for bounds in longer):
            log.info(
                "data      %s of %s rows are conversations cut to their last %s tokens", cut, len(stops), self.length
            )

    def _passage(self, start: int, stop: int) -> Passage:
        found = self._tokens[start:stop]
        return Passage(found["token"].astype(np.int64), found["is_predicted"])


def packed_of(processor: Processor, inputs: Sequence[Any]) -> PackedTexts | PackedPassages:
    """Returns the sequences of rows, packed as their processor wants them.

    Raises:
        ConfigError: the processor's rows cannot be packed.
        InputError: a row cannot be understood.
    """
    tokenising = require_tokenising(processor)
    return PackedPassages(tokenising, inputs) if tokenising.packs_whole else PackedTexts(processor, inputs)


def packed(sizes: Sequence[int], length: int) -> list[list[int]]:
    """Returns the numbers of the pieces that share a sequence: each joins the first open one that has room for it.

    Args:
        sizes: size of each piece, `length` at most.
        length: of a sequence.

    Example:
        >>> packed([3, 4, 2, 1], 5)
        [[0, 2], [1, 3]]
    """
    sequences: list[list[int]] = []
    room: dict[int, int] = {}
    for number, size in enumerate(sizes):
        place = next((one for one, left in room.items() if left >= size), len(sequences))
        if place == len(sequences):
            sequences.append([])
            room[place] = length
        sequences[place].append(number)
        room[place] -= size
        if len(room) > OPEN_SEQUENCES:
            del room[min(room, key=lambda one: room[one])]
    return sequences


def _stored(processor: Tokenising, inputs: Sequence[Any]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Returns the tokens of all rows one after the other, mapped from the cache, and where each row ends."""
    folder = kept_tokens("passages", processor, inputs, _store)
    return np.memmap(folder / PASSAGES, dtype=TOKEN, mode="r"), np.fromfile(folder / STOPS, dtype=np.int64)


def _store(folder: Path, passages: Iterator[Passage]) -> None:
    stop = 0
    with (folder / PASSAGES).open("wb") as tokens, (folder / STOPS).open("wb") as stops:
        for passage in passages:
            stored = np.empty(len(passage.tokens), TOKEN)
            stored["token"], stored["is_predicted"] = passage
            tokens.write(stored.tobytes())
            stop += len(stored)
            stops.write(np.array([stop], np.int64).tobytes())


def _bounds(stops: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yields where each row begins and ends."""
    ends = stops.tolist()
    return zip([0, *ends], ends, strict=False)
