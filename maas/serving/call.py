"""What a caller wants of a model, and what comes back. It knows no protocol and no transport."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, TypeAlias

from maas.runtime.codec import Outputs

Row: TypeAlias = object
"""One raw input, as the model's processor takes it."""
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class CallInputs(Protocol):
    """Raw rows that can be read in pieces, each of them little work."""

    @property
    def known_rows(self) -> int:
        """The number of rows as far as it is known before they are read; 1 where it is not."""

    def whole(self) -> Sequence[Row]:
        """Returns all rows at once, for little work.

        Raises:
            InputError: they cannot be read.
        """

    def pieces(self) -> Iterator[Sequence[Row]]:
        """Yields the rows in their order.

        Raises:
            InputError: they cannot be read.
        """


@dataclass(frozen=True, slots=True)
class RowList:
    """Rows that have been read.

    Args:
        rows: all of them.
        piece_rows: number of rows in a piece.
    """

    rows: Sequence[Row]
    piece_rows: int = 16

    @property
    def known_rows(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def whole(self) -> Sequence[Row]:
        """Returns all rows."""
        return self.rows

    def pieces(self) -> Iterator[Sequence[Row]]:
        """Yields the rows in their order, `piece_rows` at a time."""
        for start in range(0, len(self.rows), self.piece_rows):
            yield self.rows[start : start + self.piece_rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one model.

    Args:
        model: name of the model.
        version: version of it, or null for the one that is served.
        inputs: raw rows.
        size_bytes: size of the inputs as they were sent, in bytes.
        caller: identity of the caller, empty where it is unknown.
        deadline_s: time on the event loop's clock after which the outcome is no longer wanted, in seconds; null for
            never.
        parameters: what else the caller wants of the model, by name.
        stream: whether chunks are wanted as they are made.
    """

    model: str
    version: str | None = None
    inputs: CallInputs
    size_bytes: int
    caller: str = ""
    deadline_s: float | None = None
    parameters: Mapping[str, object] = field(default_factory=lambda: NO_PARAMETERS)
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of what a model gives for a call; an ordinary answer is a stream of one.

    Args:
        outputs: the graph's outputs, (N, …) each, in the order of the call's rows.
        is_last: whether nothing follows.
    """

    outputs: Outputs
    is_last: bool = True
