"""Preprocessing of a call's rows in steps, so that callers take turns; wherever it runs."""

import re
from collections.abc import Iterator, Sequence

from maas.errors import InputError
from maas.runtime.processors import Features, Processor
from maas.serving.call import Row, RowList


def preprocessed_steps(rows: RowList, processor: Processor) -> Iterator[list[Features]]:
    """Yields preprocessed rows, piece by piece.

    Raises:
        InputError: a row cannot be understood; the message names the row by its number in the call.
    """
    start = 0
    for piece in rows.pieces():
        yield preprocessed_from(start, piece, processor)
        start += len(piece)


def preprocessed_from(start: int, piece: Sequence[Row], processor: Processor) -> list[Features]:
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
