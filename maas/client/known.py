"""What a client learns of its server while it is used: how much it takes at a time, and the tensors of its models."""

from collections.abc import Sequence

from maas.client.exchanges import Incoming
from maas.client.tensors import TensorForm


class KnownServer:
    """The largest parts that a server takes, as far as is known, and the tensors of its models.

    Args:
        max_rows: largest number of rows in a part.
        max_bytes: largest size of a part of more than one row, in bytes.

    Attributes:
        forms: tensors by the model and version of a call.
    """

    def __init__(self, max_rows: int = 1024, max_bytes: int = 4 * 2**20) -> None:
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.forms: dict[tuple[str | int, str | int | None], TensorForm] = {}

    def end_of_part(self, sizes: Sequence[int], start: int) -> int:
        """Returns where the part ends that begins at a row: one row at least.

        Args:
            sizes: of the rows from there on, in bytes; `max_rows` of them will do.
            start: number of the part's first row.
        """
        size, count = 0, 0
        for own in sizes[: self.max_rows]:
            size += own + 1
            if count and size > self.max_bytes:
                break
            count += 1
        return start + count

    def is_too_large(self, reply: Incoming, rows: int, size: int) -> bool:
        """Returns whether a part is to be sent again in smaller ones, and notes that.

        Args:
            reply: to the part.
            rows: number of its rows.
            size: of its body, in bytes.
        """
        if reply.status != 413 or rows == 1:
            return False
        if b"too_many_rows" in reply.body:
            self.max_rows = min(self.max_rows, rows // 2)
        else:
            self.max_bytes = min(self.max_bytes, size // 2)
        return True
