"""Prompts in, texts out: the one path of generation, which notebooks, the proof of an export and servers take."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from tokenizers import Tokenizer

from maas.errors import GenerationError, InputError
from maas.records.manifest import Generation
from maas.records.signature import TensorSpec
from maas.runtime.generation.batch import DecodingBatch
from maas.runtime.generation.chat import ChatTemplate
from maas.runtime.generation.chat_prompt import ChatMessage, ChatPrompt
from maas.runtime.generation.decoder import Decoder, TokenIds
from maas.runtime.generation.passages import Passage, PassageReader, TextRow
from maas.runtime.generation.sampling import ChosenToken
from maas.runtime.generation.settings import USUAL_MAX_TOKENS, GenerationSettings
from maas.runtime.generation.text import FinishReason, GeneratedText, Piece

if TYPE_CHECKING:  # llguidance is an extra
    from maas.runtime.generation.grammars import Grammars, GrammarState

Prompt: TypeAlias = str | Sequence[ChatMessage] | ChatPrompt
"""A text to continue, or a conversation to answer: messages, alone or with tools."""
Gained = TypeVar("Gained", bound="Piece | Generated")


@dataclass(frozen=True)
class Generated:
    """A generated text.

    Args:
        text: the text, without end tokens and stops.
        chosen: its tokens, those that ended it included.
        finish_reason: `stop` at an end token or a stop, `length` at the most tokens.
        prompt_tokens: number of tokens of the prompt that was read.
    """

    text: str
    chosen: tuple[ChosenToken, ...]
    finish_reason: FinishReason
    prompt_tokens: int

    @property
    def tokens(self) -> list[int]:
        """Ids of its tokens."""
        return [one.token for one in self.chosen]


class TextGenerator:
    """A decoder, its tokenizer and its chat template.

    Args:
        model: ONNX file of prompts and steps.
        state: tensors that the graph keeps between runs.
        generation: context, end tokens, files.
        folder: where the files of `generation` lie.
        batch_size: most texts at a time.
        threads: ONNX Runtime's intra-op threads.

    Raises:
        BundleError: a file cannot be read, or is not what the manifest promises.
    """

    def __init__(
        self,
        model: Path,
        state: Sequence[TensorSpec],
        generation: Generation,
        folder: Path,
        *,
        batch_size: int = 32,
        threads: int = 1,
    ) -> None:
        self.context_length = generation.context_length
        self.batch_size = batch_size
        self.tokenizer = Tokenizer.from_file(str(folder / generation.tokenizer))
        self.decoder = Decoder(model, state, threads)
        self._end_tokens = generation.end_tokens
        self._chat = None
        if generation.chat_template is not None:
            source = (folder / generation.chat_template).read_text(encoding="utf-8")
            self._chat = ChatTemplate(source, generation.special_tokens)

    @property
    def has_chat_template(self) -> bool:
        """Whether it has a chat template."""
        return self._chat is not None

    @property
    def reads_tools(self) -> bool:
        """Whether the chat template takes tools."""
        return self._chat is not None and self._chat.reads_tools

    def generate(self, prompts: Sequence[Prompt], settings: GenerationSettings) -> list[Generated]:
        """Returns a text for each prompt; up to `batch_size` of them are generated at a time.

        Args:
            prompts: texts or conversations.
            settings: of all of them.

        Raises:
            InputError: a prompt is no text or conversation, or exceeds the context.
            GenerationError: the model fails; the other texts are generated before.
        """
        return list(map(_required, self._continued([self.begin(prompt, settings) for prompt in prompts])))

    def outcomes(
        self, prompts: Sequence[Prompt], settings: GenerationSettings
    ) -> list[Generated | InputError | GenerationError]:
        """Returns for each prompt its text, as `generate` does, or why it has none.

        Args:
            prompts: texts or conversations.
            settings: of all of them.
        """
        begun = [self._begun(prompt, settings) for prompt in prompts]
        found = iter(self._continued([one for one in begun if isinstance(one, GeneratedText)]))
        return [next(found) if isinstance(one, GeneratedText) else one for one in begun]

    def stream(self, prompt: Prompt, settings: GenerationSettings) -> Iterator[Piece]:
        """Yields the pieces of a text as they come; faults of the prompt are raised by this call.

        Raises:
            InputError: the prompt is no text or conversation, or exceeds the context.
            GenerationError: the model fails, in the middle of the text or before its first piece.
        """
        text = self.begin(prompt, settings)
        return (_required(piece) for _, piece in self._pieces([text]))

    def begin(self, prompt: Prompt, settings: GenerationSettings, scope: str = "") -> GeneratedText:
        """Returns a text that may join a batch.

        Args:
            prompt: a text or a conversation.
            settings: of the text.
            scope: name of those whose prompts may share their beginnings.

        Raises:
            InputError: the prompt is no text or conversation, or exceeds the context, or the text cannot have the form
                that it must have.
        """
        tokens = self.encode(prompt)
        usual = max(1, min(USUAL_MAX_TOKENS, self.context_length - len(tokens)))
        max_tokens = usual if settings.max_tokens is None else settings.max_tokens
        vocabulary_size = self.decoder.vocabulary_size
        if unknown := sorted(one for one in settings.logit_bias if not 0 <= one < vocabulary_size):
            raise InputError(f"logit_bias names token {unknown[0]}; the model has tokens 0 to {vocabulary_size - 1}.")
        return GeneratedText(
            self._fitting(tokens, max_tokens, settings),
            settings,
            max_tokens=max_tokens,
            tokenizer=self.tokenizer,
            end_tokens=self._end_tokens,
            vocabulary_size=vocabulary_size,
            grammar=self._grammar(settings),
            scope=scope,
            continues=isinstance(prompt, str),
        )

    def encode(self, prompt: Prompt) -> TokenIds:
        """Returns the token ids of a prompt: of a text with the tokens that its tokenizer adds, as training had them.

        Raises:
            InputError: it is neither a text nor a conversation, gives no token, or the model has no chat template.
        """
        is_text = isinstance(prompt, str)
        text = prompt if isinstance(prompt, str) else self._rendered(prompt)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError("The prompt holds half of a surrogate pair, which is not text; send valid Unicode.")
        (encoding,) = self.tokenizer.encode_batch_fast([text], add_special_tokens=is_text)  # it lets other threads run
        ids = encoding.ids
        if not ids:
            raise InputError("The prompt is empty; the model continues texts of one token or more.")
        return np.array(ids, np.int64)

    def prepare_forms(self) -> None:
        """Reads the tokens of required forms now: of a large vocabulary it takes half a second, with no other thread.

        Nothing is done where the model has none of these forms, or `maas[generate]` is not installed.
        """
        with suppress(InputError):  # the first text that wants a form says why
            _ = self._grammars

    def passage(self, row: TextRow) -> Passage:
        """Returns a whole text or an answered conversation: its tokens, and which of them are to be predicted.

        Raises:
            InputError: a conversation has no answer, or the template does not write it from its beginning to its end.
        """
        return PassageReader(self.tokenizer, self._chat, self._end_tokens).read(row)

    def _grammar(self, settings: GenerationSettings) -> "GrammarState | None":
        return self._grammars.begin(settings) if settings.has_form else None

    @cached_property
    def _grammars(self) -> "Grammars":
        try:
            from maas.runtime.generation.grammars import Grammars  # noqa: PLC0415 - llguidance is an extra
        except ImportError as error:
            raise InputError(
                "schema, regex and choice need llguidance, which is not installed here: pip install 'maas[generate]'."
            ) from error
        return Grammars(self.tokenizer, self.decoder.vocabulary_size, self._end_tokens)

    def _rendered(self, prompt: object) -> str:
        conversation = ChatPrompt.of(prompt)
        if self._chat is None:
            raise InputError("The model has no chat template; give it a text to continue instead of messages.")
        return self._chat.render(conversation)

    def _fitting(self, tokens: TokenIds, max_tokens: int, settings: GenerationSettings) -> TokenIds:
        """Returns the tokens of a prompt that leave room for the text: all, or the last ones.

        Raises:
            InputError: they leave none, and the caller does not want them cut.
        """
        room = self.context_length - max_tokens
        if len(tokens) <= room:
            return tokens
        if settings.overflow == "refuse" or room < 1:
            raise InputError(
                f"The prompt has {len(tokens)} tokens and max_tokens is {max_tokens}; both together must be at most "
                f"{self.context_length}, the model's context. Shorten the prompt, lower max_tokens, or set "
                "overflow='cut' to leave out the prompt's beginning."
            )
        return tokens[-room:]

    def _begun(self, prompt: Prompt, settings: GenerationSettings) -> GeneratedText | InputError:
        try:
            return self.begin(prompt, settings)
        except InputError as error:
            return error

    def _continued(self, texts: Sequence[GeneratedText]) -> list[Generated | GenerationError]:
        """Returns each text whole, or why it has no end."""
        pieces: dict[int, list[Piece]] = {id(text): [] for text in texts}
        faults: dict[int, GenerationError] = {}
        for text, piece in self._pieces(texts):
            if isinstance(piece, GenerationError):
                faults[id(text)] = piece
            else:
                pieces[id(text)].append(piece)
        return [faults.get(id(text)) or _joined(text, pieces[id(text)]) for text in texts]

    def _pieces(self, texts: Sequence[GeneratedText]) -> Iterator[tuple[GeneratedText, Piece | GenerationError]]:
        """Yields the pieces of all texts as they come; a text that ends makes room for the next one."""
        waiting = list(texts)
        length = max((len(text.prompt) + text.max_tokens for text in texts), default=0)
        batch = DecodingBatch(self.decoder, min(self.batch_size, len(texts)), length)
        while waiting or not batch.is_empty:
            joining, waiting = waiting[: batch.free_slots], waiting[batch.free_slots :]
            if joining:
                yield from batch.join(joining)
            if not batch.is_empty:
                yield from batch.step()


def _required(outcome: Gained | GenerationError) -> Gained:
    """Returns what was generated.

    Raises:
        GenerationError: nothing was.
    """
    if isinstance(outcome, GenerationError):
        raise outcome
    return outcome


def _joined(text: GeneratedText, pieces: Sequence[Piece]) -> Generated:
    reason = text.finish_reason
    if reason is None:
        raise ValueError("The text has not ended.")
    joined = "".join(piece.text for piece in pieces)
    return Generated(joined, tuple(piece.chosen for piece in pieces), reason, len(text.prompt))
