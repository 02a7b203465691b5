"""Texts packed into full sequences: nothing is padded, no token is left out, and no sequence is held in memory.

The texts of a split become one stream of tokens, each text begun by the token that also ends the one before it. A
sequence is a piece of the stream; the token after each of its tokens is the target. The stream lies in the cache, by
what it was made of, and is mapped.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from maas.data.contents import digests_of
from maas.errors import ConfigError
from maas.files import cache_folder, folder_published_whole
from maas.files.cache_entries import entry_alone, remove_unused
from maas.runtime.generation.passages import Passage
from maas.runtime.processors import Array, Processor
from maas.runtime.processors.base import counted_from, in_pieces

NO_TARGET = -100
"""Of a position that no loss and no metric counts, as torch's cross-entropy has it."""
TOKENS, STREAM = "tokens", "tokens.bin"
STREAM_LAYOUT = 2
"""Of what the cache keeps; tokens in another layout are made again."""


class Tokenising(Protocol):
    """A processor whose texts can be packed."""

    packs_whole: ClassVar[bool]
    """Whether a row stays in one sequence, as answers need what they answer; other rows are joined and cut."""
    max_tokens: int
    end: int

    @property
    def digest(self) -> str:
        """SHA-256 of all that the tokens of a text depend on."""
        ...

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        ...

    def passages(self, rows: Sequence[Any]) -> list[Passage]:
        """Returns all tokens of each row, with those that begin and end it, and which of them are to be predicted."""
        ...


class Sequences(NamedTuple):
    """Some sequences, int64 (N, T) each.

    Args:
        tokens: of the texts.
        documents: the number of each token's text in its sequence.
        targets: the token after each one; `NO_TARGET` past the end of the stream.
    """

    tokens: NDArray[np.int64]
    documents: NDArray[np.int64]
    targets: NDArray[np.int64]


class PackedTexts:
    """The sequences of some texts, by number.

    Args:
        processor: fitted; `max_tokens` is T.
        inputs: raw texts, which may lie on a disk.

    Raises:
        ConfigError: the processor's texts cannot be packed.
    """

    def __init__(self, processor: Processor, inputs: Sequence[Any]) -> None:
        tokenising = require_tokenising(processor)
        self.length = tokenising.max_tokens
        self._end = tokenising.end
        self._stream = stream_of(tokenising, inputs)

    def __len__(self) -> int:
        return math.ceil((len(self._stream) - 1) / self.length)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Sequences:
        """Returns the sequences of these numbers."""
        starts = np.asarray(indices, dtype=np.int64)[:, None] * self.length
        places = starts + np.arange(self.length + 1)  # (N, T + 1)
        is_past = places >= len(self._stream)
        taken = np.where(is_past, self._end, self._stream[np.where(is_past, 0, places)].astype(np.int64))
        tokens, targets = taken[:, :-1], np.where(is_past[:, 1:], NO_TARGET, taken[:, 1:])
        return Sequences(tokens, (tokens == self._end).cumsum(axis=1), targets)


def require_tokenising(processor: Processor) -> Tokenising:
    """Returns a processor whose texts can be packed.

    Raises:
        ConfigError: they cannot.
    """
    if not callable(getattr(processor, "passages", None)):
        raise ConfigError(
            f"task generation learns from tokens of whole texts, and the {processor.kind} processor gives "
            f"{', '.join(processor.dynamic_axes)} alone. Set processor=generative_text."
        )
    return cast("Tokenising", processor)


def stream_of(processor: Tokenising, inputs: Sequence[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """Returns all tokens of texts one after the other, and the token that ends the last one; mapped from the cache.

    Args:
        processor: fitted.
        inputs: raw texts, read piece by piece.

    Raises:
        InputError: a row is no text.
    """
    kind = np.dtype("<u2" if processor.tokens <= 2**16 else "<u4")

    def write(folder: Path, passages: Iterator[Passage]) -> None:
        with (folder / STREAM).open("wb") as file:
            for passage in passages:
                file.write(passage.tokens[:-1].astype(kind).tobytes())
            file.write(np.array([processor.end], dtype=kind).tobytes())

    return np.memmap(kept_tokens("token_streams", processor, inputs, write) / STREAM, dtype=kind, mode="r")


def kept_tokens(
    room: str, processor: Tokenising, inputs: Sequence[Any], write: Callable[[Path, Iterator[Passage]], None]
) -> Path:
    """Returns a folder of the cache with the tokens of rows; those of other rows go when unused for long.

    Processes that need the same ones at once wait for the first, which makes them.

    Args:
        room: of the cache, for folders of one kind.
        processor: fitted.
        inputs: raw rows, read piece by piece.
        write: writes passages into a folder.

    Raises:
        InputError: a row cannot be understood.
    """
    entry = cache_folder(room, stream_key(processor, inputs))
    folder = entry / TOKENS
    with entry_alone(entry):
        if not folder.is_dir():
            with folder_published_whole(folder) as draft:
                write(draft, passages_of(processor, inputs))
    remove_unused(entry.parent)
    return folder


def passages_of(processor: Tokenising, inputs: Sequence[Any]) -> Iterator[Passage]:
    """Yields rows as passages, which are read piece by piece.

    Raises:
        InputError: a row cannot be understood.
    """
    start = 0
    for piece in in_pieces(inputs):
        with counted_from(start):
            passages = processor.passages(piece)
        yield from passages
        start += len(piece)


def inputs_and_targets(passage: Passage) -> tuple[Array, Array]:
    """Returns all tokens but the last, and the token after each; `NO_TARGET` where that is not to be predicted.

    Returns:
        int64 (T − 1,) both.
    """
    return passage.tokens[:-1], np.where(passage.is_predicted[1:], passage.tokens[1:], NO_TARGET)


def stream_key(processor: Tokenising, inputs: Sequence[Any]) -> str:
    """Returns a digest of all that the stream depends on."""
    digest = hashlib.sha256(f"{STREAM_LAYOUT} {processor.digest} {len(inputs)}".encode())
    digest.update(digests_of(inputs, len(inputs)).tobytes())
    return digest.hexdigest()


def padded(rows: Sequence[Array], filling: int) -> NDArray[np.int64]:
    """Returns rows of several lengths, int64 (N, T), padded at the end.

    Example:
        >>> padded([np.array([1, 2]), np.array([3])], 0).tolist()
        [[1, 2], [3, 0]]
    """
    found = np.full((len(rows), max(map(len, rows))), filling, dtype=np.int64)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
