"""Pairs of texts as a net takes them that turns one into the other: of a batch, each side is padded at its end."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.data.packing import NO_TARGET, padded
from maas.data.preprocessed import PreprocessedRows
from maas.errors import ConfigError, InputError
from maas.runtime.processors import Processor
from maas.runtime.processors.translated_text import TranslatedTextProcessor


class Pairs(NamedTuple):
    """Some pairs.

    Args:
        source: tokens of what is given, int64 (N, S).
        tokens: tokens of what is wanted, after the one that begins them and without the one that ends them, (N, T).
        targets: the token after each one, (N, T); `NO_TARGET` for padding.
    """

    source: NDArray[np.int64]
    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]


class PairedTexts:
    """Pairs of texts by number.

    Args:
        processor: fitted on texts of both sides.
        inputs: N texts, which may lie on a disk.
        wanted: N texts, what the net is to make of each.

    Raises:
        ConfigError: the processor's texts cannot be translated.
        InputError: a text has more tokens than the processor takes.
    """

    def __init__(self, processor: Processor, inputs: Sequence[Any], wanted: Sequence[Any]) -> None:
        self._processor = require_translating(processor)
        self._sources = PreprocessedRows(processor, inputs)
        try:
            self._wanted = PreprocessedRows(processor, wanted)
        except InputError as error:
            raise InputError(f"{error} It is a text that the net should give.") from error
        self.keys: NDArray[np.int64] = self._sources.keys + self._wanted.keys
        """int64 (N,), the padded size of each pair."""

    def __len__(self) -> int:
        return len(self._sources)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Pairs:
        """Returns the pairs of these numbers."""
        numbers = np.asarray(indices, dtype=np.int64).tolist()
        source = self._processor.batch(self._sources.take(numbers))["source"]
        return Pairs(source, *self._shifted(numbers))

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the tokens that the net should give for the pairs of these numbers, (N, T)."""
        return self._shifted(indices.tolist())[1]

    def _shifted(self, numbers: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns tokens, and the token after each one."""
        end, feature = self._processor.end, self._processor.feature
        rows = [features[feature] for features in self._wanted.take(numbers)]
        return padded(rows, end), padded([np.append(row[1:], end) for row in rows], NO_TARGET)


def require_translating(processor: Processor) -> TranslatedTextProcessor:
    """Returns a processor whose texts can be translated.

    Raises:
        ConfigError: they cannot.
    """
    if not isinstance(processor, TranslatedTextProcessor):
        raise ConfigError(
            f"task translation learns from tokens of pairs of texts, and the {processor.kind} processor gives "
            f"{', '.join(processor.dynamic_axes)} alone. Set processor=translated_text."
        )
    return processor
