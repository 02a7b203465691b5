"""The protocol that every pass keeps."""

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from numpy.typing import NDArray

Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Calibration:
    """What a pass may learn from: training rows, never validation or test rows.

    Args:
        feeds: given a number of rows, yields that many training rows as the graph's inputs, batch by batch.
        seed: of every random choice.
    """

    feeds: Callable[[int], Iterator[Feeds]]
    seed: int


class Pass(Protocol):
    """A frozen dataclass of settings with one method.

    `side` says what goes in and out: a `checkpoint` folder, or an `onnx` file.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    side: ClassVar[Literal["checkpoint", "onnx"]]

    def apply(self, parent: Path, out: Path, calibration: Calibration) -> None:
        """Writes the smaller artifact to `out`; `parent` is left as it is.

        Raises:
            ExportError: the artifact cannot be treated this way; the reason is recorded and the pass is refused.
        """
        ...
