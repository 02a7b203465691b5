"""Text to tokens and back for a model that turns one text into another, such as its translation."""

from collections.abc import Sequence
from typing import Any, ClassVar

from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, pre_tokenizers

from maas.errors import InputError
from maas.runtime.codec import Features
from maas.runtime.processors.base import Array
from maas.runtime.processors.generative_text import GenerativeTextProcessor
from maas.runtime.searched_rows import SearchedRows
from maas.runtime.texts import CHARACTERS_A_TOKEN


class TranslatedTextProcessor(SearchedRows, GenerativeTextProcessor):
    """Tokenises both sides of a pair alike and without loss; a text that is too long is refused, and never cut.

    Token 0 begins a text, ends what is made of it, and pads. Byte pairs are joined within words; each Han character
    and each digit stays by itself, so that what was learnt of it holds beside any other. Arguments as of
    `GenerativeTextProcessor`; `max_tokens` counts the tokens of either side and the one that begins it.
    """

    kind: ClassVar[str] = "translated_text"

    @staticmethod
    def untrained() -> Tokenizer:
        """Returns a tokenizer of byte pairs that has not learnt any."""
        tokenizer = GenerativeTextProcessor.untrained()
        alone = pre_tokenizers.Split(Regex(r"\p{Han}|\p{N}"), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([alone, tokenizer.pre_tokenizer])
        return tokenizer

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns int64 token ids of shape (T,), T between 1 and `max_tokens`, the beginning of a text among them.

        Raises:
            InputError: a row is no text, or too long.
        """
        most = CHARACTERS_A_TOKEN * self.max_tokens
        for index, row in enumerate(rows):
            if isinstance(row, str) and len(row) > most:
                raise InputError(f"Row {index} has {len(row):,} characters; {self._limit}")
        found = self.documents(rows)
        for index, tokens in enumerate(found):
            if len(tokens) > self.max_tokens:
                raise InputError(f"Row {index} has {len(tokens)} tokens; {self._limit}")
        return found

    @property
    def _limit(self) -> str:
        return f"the model takes {self.max_tokens} tokens, the beginning among them. Give shorter texts."

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"source": int64 (N, S)}`, padded at the end by token 0, and what rows want of the search."""
        return {"source": super().batch(features)["tokens"], **self.searched(features)}

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and tokens."""
        return {"source": {0: "batch", 1: "source_tokens"}}
