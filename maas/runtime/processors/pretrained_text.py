"""Text to token ids with a pretrained model's own tokenizer, by the Rust `tokenizers` library alone.

Nothing is learnt, and only a `tokenizer.json` is read: the slow tokenizers of transformers are not.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, models

from maas.bounds import PadMultiple, Tokens
from maas.errors import ConfigError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.places import local_place
from maas.runtime.processors.base import Array, SingleArrayProcessor
from maas.runtime.texts import NOT_BLANK, Keep, checked_text

PRETRAINED_TOKENIZER_FILE = "tokenizer.json"
PADDINGS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")  # how published tokenizers call padding
BLANK = Tokenizer(models.WordLevel({"[UNK]": 0}, "[UNK]")).to_str()  # until `fit`

Feed = Literal["input_ids", "attention_mask", "token_type_ids"]


class PretrainedTextProcessor(SingleArrayProcessor):
    """Tokenises as the model's authors do, special tokens included, cuts and pads.

    What `tokenizer.json` itself says of cutting and padding to a length does not act; the side that it cuts does.

    Args:
        tokenizer: where it comes from: a folder that holds a `tokenizer.json`, such a file, `package:path` inside an
            installed package, or a hub id.
        max_tokens: longer texts are cut, special tokens counted; the cut is part of the model, in training as in
            serving.
        pad_multiple: texts are padded to the next multiple, so that rows of similar length share a batch.
        model_inputs: the graph's inputs, `input_ids` among them.
        content: of the `tokenizer.json`; `fit` finds it.

    Raises:
        ConfigError: the model inputs lack `input_ids`, or the special tokens leave no room for a text.
    """

    kind: ClassVar[str] = "pretrained_text"
    modality: ClassVar[str] = "text"
    input_name: ClassVar[str] = "text"
    feature: ClassVar[str] = "token_ids"

    def __init__(
        self,
        tokenizer: str,
        max_tokens: Tokens = 256,
        pad_multiple: PadMultiple = 8,
        model_inputs: Sequence[Feed] = ("input_ids", "attention_mask"),
        *,
        content: str = BLANK,
    ) -> None:
        if "input_ids" not in model_inputs:
            raise ConfigError(f"processor.model_inputs is {list(model_inputs)}; it must hold input_ids.")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pad_multiple = pad_multiple
        self.model_inputs = tuple(model_inputs)
        self._content = content
        self._tokenizer = Tokenizer.from_str(content)
        self._padding_id, self._padding_type = _padding_of(self._tokenizer)
        self._keep = _cutting(self._tokenizer, max_tokens)

    def fit(self, rows: Sequence[str]) -> Self:
        """Returns a processor that has its tokenizer; rows are not looked at.

        Raises:
            ConfigError: there is none at the place that the settings name.
        """
        return type(self)(**self.settings(), content=_found(self.tokenizer))

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns int64 (T,) token ids, or (2, T) token and type ids where types are fed; T is at most `max_tokens`."""
        texts = [checked_text(row, index, self.max_tokens, self._keep) for index, row in enumerate(rows)]
        if len(texts) == 1:  # one text is not worth waking the tokenizer's thread pool
            return [self._features(self._tokenizer.encode(texts[0]))]
        return [self._features(encoding) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def _features(self, encoding: Encoding) -> Array:
        ids = encoding.ids or [self._padding_id]  # a tokenizer without special tokens may find nothing in a text
        if "token_type_ids" not in self.model_inputs:
            return np.array(ids, dtype=np.int64)
        return np.array([ids, encoding.type_ids or [self._padding_type]], dtype=np.int64)

    def bucket(self, features: Features) -> int:
        """Returns T rounded up to `pad_multiple`, and at most `max_tokens`, where the model's positions may end."""
        return self._padded(features[self.feature])

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns the model inputs, int64 (N, T) each, padded at the end; the mask is 1 on tokens and 0 on padding."""
        rows = [row[self.feature] for row in features]
        shape = len(rows), max(map(self._padded, rows))
        model_inputs = {
            "input_ids": np.full(shape, self._padding_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.full(shape, self._padding_type, dtype=np.int64),
        }
        for index, row in enumerate(rows):
            tokens = row.shape[-1]
            model_inputs["input_ids"][index, :tokens] = row if row.ndim == 1 else row[0]
            model_inputs["attention_mask"][index, :tokens] = 1
            model_inputs["token_type_ids"][index, :tokens] = 0 if row.ndim == 1 else row[1]
        return {name: model_inputs[name] for name in self.model_inputs}

    def _padded(self, tokens: Array) -> int:
        return min(-(-int(tokens.shape[-1]) // self.pad_multiple) * self.pad_multiple, self.max_tokens)

    @property
    def unknown_id(self) -> int | None:
        """What a token becomes that the vocabulary lacks; None where the tokenizer knows every text."""
        token = getattr(self._tokenizer.model, "unk_token", None)
        return None if token is None else self._tokenizer.token_to_id(token)

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
        return {name: {0: "batch", 1: "tokens"} for name in self.model_inputs}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The number of tokens that are known, as `vocabulary_size`; a pretrained net does not need it."""
        return {"vocabulary_size": self._tokenizer.get_vocab_size()}

    def settings(self) -> dict[str, Any]:
        """All arguments."""
        return {
            "tokenizer": self.tokenizer,
            "max_tokens": self.max_tokens,
            "pad_multiple": self.pad_multiple,
            "model_inputs": list(self.model_inputs),
        }

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` as it was published."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PRETRAINED_TOKENIZER_FILE).write_text(self._content, encoding="utf-8")

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and `tokenizer.json`, wherever that came from."""
        return cls(**settings, content=(folder / PRETRAINED_TOKENIZER_FILE).read_text(encoding="utf-8"))


def _found(place: str) -> str:
    """Returns the content of the `tokenizer.json` at a place."""
    path = local_place(place)
    try:
        if path is None:
            return str(Tokenizer.from_pretrained(place).to_str())
        content = (path / PRETRAINED_TOKENIZER_FILE if path.is_dir() else path).read_text(encoding="utf-8")
        Tokenizer.from_str(content)
    except Exception as error:  # the library's own errors, and those of the hub's client, have no common kind
        is_absent = path is not None and isinstance(error, FileNotFoundError)
        reason = (
            f"the folder holds no {PRETRAINED_TOKENIZER_FILE}"
            if is_absent
            else str(error).partition("\n")[0].rstrip(".")
        )
        raise ConfigError(
            f"processor.tokenizer is {place}, which cannot be read: {reason}. Name a folder that holds a "
            f"{PRETRAINED_TOKENIZER_FILE}, such a file, package:path, or a hub id."
        ) from error
    return content


def _padding_of(tokenizer: Tokenizer) -> tuple[int, int]:
    """Returns the ids of padding: of the token, and of its type."""
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"]), int(tokenizer.padding["pad_type_id"])
    known = (tokenizer.token_to_id(name) for name in PADDINGS)
    return next((found for found in known if found is not None), 0), 0


def _cutting(tokenizer: Tokenizer, max_tokens: int) -> Keep:
    """Makes a tokenizer cut at `max_tokens` and pad nothing, and returns which part of a text it keeps."""
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if special >= max_tokens:
        raise ConfigError(
            f"processor.max_tokens is {max_tokens}; the tokenizer adds {special} tokens of its own, so it must be at "
            f"least {special + 1}. Set e.g. processor.max_tokens=128."
        )
    direction = (tokenizer.truncation or {}).get("direction", "right")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, direction=direction)
    return "start" if direction == "right" else "end"
