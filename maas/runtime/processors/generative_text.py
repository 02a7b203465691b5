"""Text to tokens and back, nothing lost: what a model takes that generates it."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from maas.bounds import Count, PadMultiple, Tokens
from maas.runtime.generation.passages import Passage, text_passage
from maas.runtime.processors.base import Array, PackedTextProcessor
from maas.runtime.processors.text import TOKENIZER_FILE
from maas.runtime.texts import NOT_BLANK, checked_text

END_OF_TEXT = "<|endoftext|>"
"""Id 0; stands before a text and after it. No text holds it: these characters in a text are ordinary ones."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""What a character becomes that training did not meet: the bytes of its UTF-8."""
MOST_CHARACTERS = 2**31
"""Of a document that is packed with others: all of it is looked at."""

Algorithm = Literal["byte_pairs", "characters"]


class GenerativeTextProcessor(PackedTextProcessor):
    """Tokenises without loss: no text is normalised, and none holds a character that has no tokens.

    The same texts give the same vocabulary, byte for byte.

    Args:
        algorithm: `byte_pairs` joins pairs of bytes that are frequent side by side within words; `characters` makes
            each character a token.
        vocabulary_size: the largest number of tokens to learn, the end of a text and all bytes among them.
        max_tokens: length of a packed training sequence, and of the longest prompt; of a longer one its end is kept.
        pad_multiple: prompts are padded to the next multiple, so that rows of similar length share a batch.
        tokenizer: already trained; `fit` trains one.

    Source:
        Radford et al., GPT-2, §2.2: byte-pair encoding over bytes.
    """

    kind: ClassVar[str] = "generative_text"
    packs_whole: ClassVar[bool] = False

    def __init__(
        self,
        algorithm: Algorithm = "byte_pairs",
        vocabulary_size: Count = 2048,
        max_tokens: Tokens = 256,
        pad_multiple: PadMultiple = 16,
        *,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.vocabulary_size = vocabulary_size
        self.max_tokens = max_tokens
        self.pad_multiple = pad_multiple
        self._tokenizer = tokenizer or _of_characters(())
        self._tokenizer.encode_special_tokens = True
        self.end = int(self._tokenizer.token_to_id(END_OF_TEXT))
        """The token that stands before a text and after it."""

    def fit(self, rows: Sequence[str]) -> Self:
        """Returns a processor whose vocabulary was learnt from `rows`, which are read once, one after the other."""
        texts = (checked_text(row, index, MOST_CHARACTERS) for index, row in enumerate(rows))
        if self.algorithm == "characters":
            counts = Counter(character for text in texts for character in text)
            room = max(0, self.vocabulary_size - 1 - len(BYTES))
            commonest = sorted(counts, key=lambda character: (-counts[character], character))[:room]
            return type(self)(**self.settings(), tokenizer=_of_characters(sorted(commonest)))
        tokenizer = self.untrained()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary_size,
            min_frequency=2,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # in this order, or ids differ by chance
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer, length=len(rows))
        return type(self)(**self.settings(), tokenizer=tokenizer)

    @staticmethod
    def untrained() -> Tokenizer:
        """Returns a tokenizer of byte pairs that has not learnt any."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def documents(self, rows: Sequence[Any]) -> list[Array]:
        """Returns all tokens of each text, however long, after the token that begins it; int64 (1 + T,) each.

        Raises:
            InputError: a row is no text.
        """
        texts = [checked_text(row, index, MOST_CHARACTERS) for index, row in enumerate(rows)]
        return self._encoded(texts)

    def passages(self, rows: Sequence[Any]) -> list[Passage]:
        """Returns all tokens of each text with those that begin and end it; all but the first are to be predicted.

        Raises:
            InputError: a row is no text.
        """
        return [text_passage(np.append(document, self.end)) for document in self.documents(rows)]

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns int64 token ids of shape (T,), T between 1 and `max_tokens`, the beginning of a text among them."""
        texts = [checked_text(row, index, self.max_tokens, "end") for index, row in enumerate(rows)]
        return [ids[-self.max_tokens :] for ids in self._encoded(texts)]

    def text_of(self, tokens: Sequence[int]) -> str:
        """Returns the text that tokens stand for, without the ends of texts."""
        text: str = self._tokenizer.decode([token for token in tokens if token != self.end], skip_special_tokens=False)
        return text

    def _encoded(self, texts: list[str]) -> list[Array]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array([self.end, *encoding.ids], dtype=np.int64) for encoding in encodings]

    @property
    def digest(self) -> str:
        """SHA-256 of all that the tokens of a text depend on."""
        return hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def row_schema(self) -> dict[str, Any]:
        """A string that is not blank."""
        return {"type": "string", "minLength": 1, "pattern": NOT_BLANK}

    def is_many(self, value: object) -> bool:
        """A list is many."""
        return isinstance(value, list)

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The number of tokens that were learnt, as `vocabulary_size`."""
        return {"vocabulary_size": self.tokens}

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "algorithm": self.algorithm,
            "vocabulary_size": self.vocabulary_size,
            "max_tokens": self.max_tokens,
            "pad_multiple": self.pad_multiple,
        }

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and `tokenizer.json`."""
        return cls(**settings, tokenizer=Tokenizer.from_file(str(folder / TOKENIZER_FILE)))


def _of_characters(characters: Sequence[str]) -> Tokenizer:
    """Returns a tokenizer of bytes and some characters; it is cut at blanks because it remembers words."""
    vocabulary = {token: number for number, token in enumerate([END_OF_TEXT, *BYTES, *characters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.add_special_tokens([END_OF_TEXT])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s"), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
