"""What a caller wants of a model, and what comes back. It knows no protocol and no transport."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from maas.errors import InputError
from maas.runtime.codec import Codec, Features, Outputs

if TYPE_CHECKING:  # a server without such a model does not import what generates
    from maas.runtime.generation.sampling import ChosenToken
    from maas.runtime.generation.settings import GenerationSettings
    from maas.runtime.generation.text import FinishReason

Row: TypeAlias = object
"""One raw input, as the model's processor takes it."""
OUTPUT_VALUES_AT_ONCE = 1024
"""Of outputs that are rendered in one go."""
HIGH, NORMAL, LOW = -1, 0, 1
"""Priorities of calls: which of those that wait runs first."""
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class RowList(msgspec.Struct, frozen=True):
    """Raw rows.

    Args:
        rows: all of them.
        piece_rows: number of rows in a piece.
    """

    rows: Sequence[Row]
    piece_rows: int = 16

    def __len__(self) -> int:
        return len(self.rows)

    def pieces(self) -> Iterator[Sequence[Row]]:
        """Yields the rows in their order, `piece_rows` at a time."""
        for start in range(0, len(self.rows), self.piece_rows):
            yield self.rows[start : start + self.piece_rows]


class PreprocessedInputs(msgspec.Struct, frozen=True):
    """Rows that were preprocessed before the call was submitted.

    Args:
        features: all of them.
    """

    features: Sequence[Features]

    def __len__(self) -> int:
        return len(self.features)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one model.

    Args:
        model: name of the model.
        version: version of it, or null for the one that is served.
        inputs: rows.
        size_bytes: size of the inputs as they were sent, in bytes.
        caller: identity of the caller, empty where it is unknown.
        deadline_s: time on the event loop's clock after which the outcome is no longer wanted, in seconds; null for
            never.
        priority: `HIGH`, `NORMAL` or `LOW`.
        parameters: what else the caller wants of the model, by name.
        stream: whether chunks are wanted as they are made.
    """

    model: str
    version: str | None = None
    inputs: RowList | PreprocessedInputs
    size_bytes: int
    caller: str = ""
    deadline_s: float | None = None
    priority: int = NORMAL
    parameters: Mapping[str, object] = NO_PARAMETERS
    stream: bool = False


class Chunk(msgspec.Struct, frozen=True):
    """A part of what a model gives for a call; an ordinary reply is a stream of one.

    Args:
        outputs: the graph's outputs, (N, …) each, in the order of the call's rows.
        is_last: whether nothing follows.
    """

    outputs: Outputs
    is_last: bool = True


class GenerationCall(Call, frozen=True, kw_only=True):
    """One request for texts: its rows are prompts.

    Args:
        settings: of each text.
        copies: number of texts for each prompt; with a seed, the second is drawn by the next seed, and so on.
        cache_salt: its prompts share beginnings with those of the same salt alone.
    """

    settings: "GenerationSettings"
    copies: int = 1
    cache_salt: str = ""

    @property
    def texts(self) -> int:
        """How many texts are wanted."""
        return len(self.inputs) * self.copies


class TextChunk(msgspec.Struct, frozen=True):
    """What was added to one text of a call since its last chunk.

    Args:
        index: number of the text: those of the first prompt come first.
        prompt_tokens: number of tokens of its prompt.
        text: whole characters.
        tokens: number of tokens that were added.
        chosen: these tokens, where their log probabilities are wanted.
        finish_reason: why the text has ended; None where more follows.
        cached_tokens: number of tokens of its prompt that were not computed again.
    """

    index: int
    prompt_tokens: int
    text: str
    tokens: int
    chosen: "tuple[ChosenToken, ...]" = ()
    finish_reason: "FinishReason | None" = None
    cached_tokens: int = 0


def merged_chunks(chunks: Iterable[TextChunk]) -> list[TextChunk]:
    """Returns the texts of a call whole, in their order.

    Args:
        chunks: all of them; those of one text in their order.
    """
    by_text: dict[int, list[TextChunk]] = {}
    for chunk in chunks:
        by_text.setdefault(chunk.index, []).append(chunk)
    return [_merged(by_text[index]) for index in sorted(by_text)]


def _merged(chunks: Sequence[TextChunk]) -> TextChunk:
    last = chunks[-1]
    return TextChunk(
        last.index,
        last.prompt_tokens,
        "".join(chunk.text for chunk in chunks),
        sum(chunk.tokens for chunk in chunks),
        tuple(one for chunk in chunks for one in chunk.chosen),
        last.finish_reason,
        last.cached_tokens,
    )


def slices(outputs: Outputs) -> Iterator[Outputs]:
    """Yields outputs a few rows at a time: about `OUTPUT_VALUES_AT_ONCE` values.

    Args:
        outputs: (N, …) each.
    """
    rows = min(map(len, outputs.values()))
    step = max(1, OUTPUT_VALUES_AT_ONCE * rows // max(1, size_of_outputs(outputs)))
    if step >= rows:
        yield outputs
        return
    for start in range(0, rows, step):
        yield {name: array[start : start + step] for name, array in outputs.items()}


def size_of_outputs(outputs: Outputs) -> int:
    """Returns the number of values that outputs hold."""
    size = 0
    for array in outputs.values():
        size += array.size
    return size


def preprocessed_steps(rows: RowList, processor: Codec) -> Iterator[Sequence[Features]]:
    """Yields preprocessed rows, piece by piece.

    Raises:
        InputError: a row cannot be understood; the message names the row by its number in the call.
    """
    start = 0
    for piece in rows.pieces():
        yield preprocessed_from(start, piece, processor)
        start += len(piece)


def preprocessed_from(start: int, piece: Sequence[Row], processor: Codec) -> Sequence[Features]:
    """Preprocesses a piece of a call's rows.

    Args:
        start: number of the piece's first row in the call.
        piece: some rows.
        processor: of the model.

    Raises:
        InputError: a row cannot be understood; the message names it by its number in the call.
    """
    try:
        return processor.preprocess(piece)
    except InputError as error:
        if not start:
            raise
        raise InputError(re.sub(r"^Row (\d+)", lambda found: f"Row {start + int(found[1])}", str(error))) from error
