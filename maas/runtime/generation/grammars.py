"""Texts of a required form: JSON of a schema, what a regular expression matches, or one of some texts.

llguidance finds which tokens may come next. What it cannot do is refused before anything is generated; its work on a
grammar, and on each token, is bounded.
Source: https://github.com/guidance-ai/llguidance
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import msgspec
import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.errors import InputError, one_line
from maas.runtime.generation.settings import GenerationSettings

KEPT_GRAMMARS = 64
LONGEST_KEPT = 16 * 2**10
"""Of a grammar's source, in characters; longer ones are compiled for each request."""
LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,  # about 20 ms
    max_grammar_size=100_000,
    max_lexer_states=20_000,  # about 2 KB each
    step_lexer_fuel=200_000,  # about 15 ms
    step_max_items=50_000,
    verbose_errors=False,
)
JSON_FORM = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""JSON without blanks but for one after a comma or a colon: a text that may be blank for ever need not end."""


class GrammarState:
    """How far one text has followed its grammar.

    Args:
        matcher: of llguidance, at the beginning of a text.
        vocabulary_size: number of tokens.
    """

    def __init__(self, matcher: LLMatcher, vocabulary_size: int) -> None:
        self._matcher, self._size = matcher, vocabulary_size

    @property
    def is_over(self) -> bool:
        """Whether no character can follow."""
        return bool(self._matcher.is_stopped())

    @property
    def has_failed(self) -> bool:
        """Whether the next token took more work than is allowed, so that the text cannot continue."""
        return bool(self._matcher.is_error())

    def masked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns logits, those of tokens that may not come being -inf.

        Args:
            logits: (vocabulary,).
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=self._size, bitorder="little")
        return np.where(allowed, logits, np.float32(-np.inf))

    def take(self, token: int) -> None:
        """Adds the token that was chosen."""
        self._matcher.consume_token(token)


class Grammars:
    """Grammars over the tokens of one model; those that were used last are kept as they were compiled.

    Args:
        tokenizer: tokenizer of the model.
        vocabulary_size: number of tokens.
        end_tokens: ids of the tokens that end a text.

    Raises:
        InputError: no token ends a text, or the bytes of its tokens are not known.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary_size: int, end_tokens: Sequence[int]) -> None:
        self._size = vocabulary_size
        if not end_tokens:
            raise InputError("No token ends a text of this model; leave out schema, regex and choice.")
        try:
            self._tokens = LLTokenizer(tokenizer.to_str(), n_vocab=vocabulary_size, eos_token=list(end_tokens))
        except ValueError as error:
            raise InputError(
                f"The model's tokenizer has tokens whose bytes are not known ({one_line(error)}); leave out schema, "
                "regex and choice."
            ) from error
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = Lock()

    def begin(self, settings: GenerationSettings) -> GrammarState | None:
        """Returns the state of a text that begins; None where any text may come.

        Raises:
            InputError: the form is none, or llguidance cannot do it.
        """
        source = grammar_source(settings)
        if source is None:
            return None
        with self._lock:
            matcher = self._kept.get(source)
        if matcher is None:
            matcher = self._compiled(source)
        self._keep(source, matcher)
        return GrammarState(matcher.deep_copy(), self._size)

    def _compiled(self, source: str) -> LLMatcher:
        matcher = LLMatcher(self._tokens, source, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise InputError(f"The text cannot be given this form: {one_line(ValueError(matcher.get_error()))}.")
        return matcher

    def _keep(self, source: str, matcher: LLMatcher) -> None:
        if len(source) > LONGEST_KEPT:
            return
        with self._lock:
            self._kept[source] = matcher
            self._kept.move_to_end(source)
            while len(self._kept) > KEPT_GRAMMARS:
                self._kept.popitem(last=False)


def grammar_source(settings: GenerationSettings) -> str | None:
    """Returns the form that a text must have as llguidance reads it; None where any text may come."""
    if settings.schema is not None:
        schema = {**settings.schema, "x-guidance": JSON_FORM}
        return str(LLMatcher.grammar_from_json_schema(msgspec.json.encode(schema).decode()))
    if settings.regex is not None:
        return str(LLMatcher.grammar_from_regex(settings.regex))
    if settings.choice:
        texts = " | ".join(msgspec.json.encode(text).decode() for text in settings.choice)
        return str(LLMatcher.grammar_from_lark(f"start: {texts}"))
    return None
