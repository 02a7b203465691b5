"""Text to token ids with a Rust `tokenizers` tokenizer, trained on the training texts alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from maas.bounds import Count
from maas.errors import InputError
from maas.runtime.processors.base import BaseProcessor, Features
from maas.runtime.signature import TensorSpec

PADDING, UNKNOWN = "[PAD]", "[UNK]"  # ids 0 and 1
ASSET = "tokenizer.json"


class Processor(BaseProcessor):
    """Normalises (NFKC, lower case), tokenises, cuts and pads.

    Args:
        vocabulary_size: the largest number of tokens to learn, padding and unknown among them.
        max_tokens: longer texts are cut; the cut is part of the model, in training as in serving.
        algorithm: how the vocabulary is learnt.
        pad_multiple: texts are padded to the next multiple, so that rows of similar length share a batch.
        tokenizer: already trained; `fit` trains one.
    """

    kind: ClassVar[str] = "text"
    modality: ClassVar[str] = "text"

    def __init__(
        self,
        vocabulary_size: Count = 8000,
        max_tokens: Count = 128,
        algorithm: Literal["bpe", "unigram"] = "unigram",
        pad_multiple: Count = 16,
        *,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.max_tokens = max_tokens
        self.algorithm: Literal["bpe", "unigram"] = algorithm
        self.pad_multiple = pad_multiple
        self._tokenizer = tokenizer or _untrained(algorithm)
        self._max_characters = 32 * max_tokens  # bounds the time that a hostile text can take

    def fit(self, rows: Sequence[str]) -> Self:
        """Returns a processor whose vocabulary was learnt from `rows`."""
        tokenizer = _untrained(self.algorithm)
        tokenizer.train_from_iterator(rows, _trainer(self.algorithm, self.vocabulary_size), length=len(rows))
        tokenizer.enable_truncation(self.max_tokens)
        return type(self)(**self.settings(), tokenizer=tokenizer)

    def encode(self, rows: Sequence[Any]) -> list[Features]:
        """Returns int64 token ids of shape (T,), T between 1 and `max_tokens`."""
        texts = [self._checked(row, index) for index, row in enumerate(rows)]
        if len(texts) == 1:  # one text is not worth waking the tokenizer's thread pool
            encodings = [self._tokenizer.encode(texts[0], add_special_tokens=False)]
        else:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids or [1], dtype=np.int64) for encoding in encodings]

    def _checked(self, row: Any, index: int) -> str:
        if not isinstance(row, str):
            raise InputError(f"Row {index} is {_named(row)}; the model takes a text (a string).")
        text = row[: self._max_characters]
        if not text.strip():
            raise InputError(f"Row {index} is an empty text; the model needs at least one character.")
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"Row {index} holds half of a surrogate pair, which is not text; send valid Unicode.")
        return text

    def batch_key(self, features: Features) -> int:
        """Returns T rounded up to `pad_multiple`."""
        return -(-len(features) // self.pad_multiple) * self.pad_multiple

    def collate(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"input_ids": int64 (N, T)}`, padded at the end with 0."""
        width = max(self.batch_key(row) for row in features)
        ids = np.zeros((len(features), width), dtype=np.int64)
        for index, row in enumerate(features):
            ids[index, : len(row)] = row
        return {"input_ids": ids}

    @property
    def input_spec(self) -> TensorSpec:
        """BYTES, (N,)."""
        return TensorSpec("text", "BYTES", (-1,))

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and tokens."""
        return {"input_ids": {0: "batch", 1: "tokens"}}

    @property
    def net_arguments(self) -> dict[str, int]:
        """The number of tokens that were learnt, as `vocabulary_size`."""
        return {"vocabulary_size": self._tokenizer.get_vocab_size()}

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "vocabulary_size": self.vocabulary_size,
            "max_tokens": self.max_tokens,
            "algorithm": self.algorithm,
            "pad_multiple": self.pad_multiple,
        }

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ASSET).write_text(self._tokenizer.to_str(pretty=False), encoding="utf-8")

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and `tokenizer.json`."""
        return cls(**settings, tokenizer=Tokenizer.from_file(str(folder / ASSET)))


def _untrained(algorithm: Literal["bpe", "unigram"]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN) if algorithm == "bpe" else models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def _trainer(algorithm: Literal["bpe", "unigram"], vocabulary_size: int) -> trainers.Trainer:
    special = [PADDING, UNKNOWN]
    if algorithm == "bpe":
        return trainers.BpeTrainer(vocab_size=vocabulary_size, special_tokens=special, show_progress=False)
    return trainers.UnigramTrainer(
        vocab_size=vocabulary_size, special_tokens=special, unk_token=UNKNOWN, show_progress=False
    )


def _named(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
