"""Texts and conversations to tokens by a pretrained model's own tokenizer and chat template, for models that generate.

Nothing is learnt. `maas.importing.decoders.conversing` makes such a processor of what a pretrained model brings.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import msgspec
from tokenizers import Tokenizer

from maas.bounds import PadMultiple, Tokens
from maas.errors import InputError
from maas.runtime.generation.chat import ChatTemplate
from maas.runtime.generation.passages import Passage, PassageReader
from maas.runtime.processors.base import Array, PackedTextProcessor
from maas.runtime.processors.text import TOKENIZER_FILE, of_bytes
from maas.runtime.texts import NOT_BLANK, checked_text

CONVERSATION_FILE = "conversation.json"
MOST_TOKENS = 2**26
"""Of a text that is packed with others: all of it is looked at."""
NO_TOKENS: Mapping[str, str] = MappingProxyType({})


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a saved processor keeps beside its tokenizer."""

    chat_template: str | None
    special_tokens: dict[str, str]
    end_tokens: tuple[int, ...]


class ConversationProcessor(PackedTextProcessor):
    """Tokenises texts, and conversations as the model's template writes them, of which the answers are predicted.

    Args:
        max_tokens: length of a packed training sequence, and of the longest prompt; of a longer one its end is kept.
        pad_multiple: prompts are padded to the next multiple, so that rows of similar length share a batch.
        content: of the model's `tokenizer.json`; without, tokens are bytes.
        chat_template: Jinja source; None for a model that only continues texts.
        special_tokens: texts of tokens by the names that the template uses, such as `eos_token`.
        end_tokens: ids of the tokens that end a text.

    Raises:
        BundleError: the template is none.
    """

    kind: ClassVar[str] = "conversation"
    packs_whole: ClassVar[bool] = True

    def __init__(
        self,
        max_tokens: Tokens = 256,
        pad_multiple: PadMultiple = 16,
        *,
        content: str = "",
        chat_template: str | None = None,
        special_tokens: Mapping[str, str] = NO_TOKENS,
        end_tokens: Sequence[int] = (),
    ) -> None:
        self.max_tokens = max_tokens
        self.pad_multiple = pad_multiple
        self.content = content or of_bytes()
        self.chat_template = chat_template
        self.special_tokens = dict(special_tokens)
        self.end_tokens = tuple(end_tokens)
        self.end = self.end_tokens[0] if self.end_tokens else 0
        """What texts are padded with."""
        self._tokenizer = Tokenizer.from_str(self.content)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        chat = None if chat_template is None else ChatTemplate(chat_template, self.special_tokens)
        self._reader = PassageReader(self._tokenizer, chat, self.end_tokens)

    def passages(self, rows: Sequence[Any]) -> list[Passage]:
        """Returns all tokens of each row, and which of them are to be predicted.

        Raises:
            InputError: a row is neither a text nor a conversation with an answer.
        """
        return [self._passage(row, index) for index, row in enumerate(rows)]

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns int64 token ids of shape (T,), T at most `max_tokens`."""
        return [passage.tokens[-self.max_tokens :] for passage in self.passages(rows)]

    def _passage(self, row: object, index: int) -> Passage:
        if isinstance(row, str):
            return self._reader.read(checked_text(row, index, MOST_TOKENS))
        if not isinstance(row, Sequence) or isinstance(row, bytes) or not row:
            raise InputError(f"Row {index} is of type {type(row).__name__}; give a text, or a list of messages.")
        try:
            return self._reader.read(row)
        except InputError as error:
            raise InputError(f"Row {index} cannot be learnt: {error}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of all that the tokens of a row depend on."""
        return hashlib.sha256(self.content.encode() + msgspec.json.encode(self._record)).hexdigest()

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def row_schema(self) -> dict[str, Any]:
        """A string that is not blank, or messages."""
        message = {"type": "object", "required": ["role", "content"]}
        text = {"type": "string", "minLength": 1, "pattern": NOT_BLANK}
        return {"anyOf": [text, {"type": "array", "minItems": 1, "items": message}]}

    @property
    def rows_rule(self) -> str:
        """Says that messages are one row."""
        return "A list is several inputs, unless it is one of messages."

    def is_many(self, value: object) -> bool:
        """A list is many unless its first value is a message."""
        return isinstance(value, list) and not (value and isinstance(value[0], Mapping))

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The number of tokens, as `vocabulary_size`; a pretrained net does not need it."""
        return {"vocabulary_size": self.tokens}

    def settings(self) -> dict[str, Any]:
        """The lengths; all else is saved."""
        return {"max_tokens": self.max_tokens, "pad_multiple": self.pad_multiple}

    def save(self, folder: Path) -> None:
        """Writes `tokenizer.json` as it was published, and `conversation.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_text(self.content, encoding="utf-8")
        (folder / CONVERSATION_FILE).write_bytes(msgspec.json.encode(self._record))

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings and both files."""
        record = msgspec.json.decode((folder / CONVERSATION_FILE).read_bytes(), type=_Record)
        content = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
        return cls(**settings, content=content, **msgspec.structs.asdict(record))

    @property
    def _record(self) -> _Record:
        return _Record(self.chat_template, self.special_tokens, self.end_tokens)
