"""Text to token ids with a Rust `tokenizers` tokenizer, trained on the training texts alone.

The ways of cutting text up that are offered learn the same vocabulary from the same texts, byte for byte; Unigram, as
`tokenizers` trains it, does not, and BPE only where it is given its alphabet, as `generative_text` does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from maas.bounds import Count, PadMultiple, Tokens
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.processors.base import Array, SingleArrayProcessor
from maas.runtime.texts import NOT_BLANK, checked_text

PADDING, UNKNOWN = "[PAD]", "[UNK]"  # ids 0 and 1
TOKENIZER_FILE = "tokenizer.json"


class TextProcessor(SingleArrayProcessor):
    """Normalises (NFKC, lower case), tokenises, cuts and pads.

    Args:
        algorithm: `characters` makes each character a token; `words` cuts at blanks and punctuation, and makes each Han
            character a token of its own.
        vocabulary_size: the largest number of tokens to learn, padding and unknown among them.
        max_tokens: longer texts are cut; the cut is part of the model, in training as in serving.
        keep: what is kept of a longer text: its `start`, or half of each of its `ends`.
        pad_multiple: texts are padded to the next multiple, so that rows of similar length share a batch.
        tokenizer: already trained; `fit` trains one.
    """

    kind: ClassVar[str] = "text"
    modality: ClassVar[str] = "text"
    input_name: ClassVar[str] = "text"
    feature: ClassVar[str] = "token_ids"

    def __init__(
        self,
        algorithm: Literal["characters", "words"] = "characters",
        vocabulary_size: Count = 8000,
        max_tokens: Tokens = 256,
        keep: Literal["start", "ends"] = "start",
        pad_multiple: PadMultiple = 16,
        *,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.vocabulary_size = vocabulary_size
        self.max_tokens = max_tokens
        self.keep = keep
        self.pad_multiple = pad_multiple
        self._tokenizer = tokenizer or _untrained(algorithm)

    def fit(self, rows: Sequence[str]) -> Self:
        """Returns a processor whose vocabulary was learnt from `rows`."""
        tokenizer = _untrained(self.algorithm)
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocabulary_size, min_frequency=2, special_tokens=[PADDING, UNKNOWN], show_progress=False
        )
        texts = (checked_text(row, index, self.max_tokens, self.keep) for index, row in enumerate(rows))
        tokenizer.train_from_iterator(texts, trainer, length=len(rows))
        return type(self)(**self.settings(), tokenizer=tokenizer)

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns int64 token ids of shape (T,), T between 1 and `max_tokens`."""
        texts = [checked_text(row, index, self.max_tokens, self.keep) for index, row in enumerate(rows)]
        if len(texts) == 1:  # one text is not worth waking the tokenizer's thread pool
            encodings = [self._tokenizer.encode(texts[0], add_special_tokens=False)]
        else:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [self._cut(np.array(encoding.ids or [1], dtype=np.int64)) for encoding in encodings]

    def _cut(self, ids: Array) -> Array:
        if len(ids) <= self.max_tokens:
            return ids
        if self.keep == "start":
            return ids[: self.max_tokens]
        tail = self.max_tokens // 2
        return np.concatenate([ids[: self.max_tokens - tail], ids[len(ids) - tail :]])

    def bucket(self, features: Features) -> int:
        """Returns T rounded up to `pad_multiple`."""
        return self._padded(features[self.feature])

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"input_ids": int64 (N, T)}`, padded at the end with 0."""
        rows = [row[self.feature] for row in features]
        ids = np.zeros((len(rows), max(map(self._padded, rows))), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
        return {"input_ids": ids}

    def _padded(self, ids: Array) -> int:
        return -(-len(ids) // self.pad_multiple) * self.pad_multiple

    @property
    def unknown_id(self) -> int:
        """What a token becomes that training did not meet."""
        return int(self._tokenizer.token_to_id(UNKNOWN))

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """BYTES, (N,)."""
        return (TensorSpec("text", "BYTES", (-1,)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """A string that is not blank."""
        return {"type": "string", "minLength": 1, "pattern": NOT_BLANK}

    def is_many(self, value: object) -> bool:
        """A list is many."""
        return isinstance(value, list)

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """Batch and tokens."""
        return {"input_ids": {0: "batch", 1: "tokens"}}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The number of tokens that were learnt, as `vocabulary_size`."""
        return {"vocabulary_size": self._tokenizer.get_vocab_size()}

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "algorithm": self.algorithm,
            "vocabulary_size": self.vocabulary_size,
            "max_tokens": self.max_tokens,
            "keep": self.keep,
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


def _untrained(algorithm: Literal["characters", "words"]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
        if algorithm == "characters"
        else [pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"), pre_tokenizers.BertPreTokenizer()]
    )
    return tokenizer


def of_bytes() -> str:
    """Returns a tokenizer whose tokens are bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({character: number for number, character in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return str(made.to_str())
