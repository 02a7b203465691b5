"""One text that is generated: its prompt, its sampler, its characters, and when it ends. It runs no graph."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.errors import GenerationError
from maas.runtime.generation.decoder import TokenIds
from maas.runtime.generation.sampling import ChosenToken, Sampler
from maas.runtime.generation.settings import GenerationSettings
from maas.runtime.generation.stops import StopStrings
from maas.runtime.generation.text_stream import Detokenizer

if TYPE_CHECKING:  # llguidance is an extra
    from maas.runtime.generation.grammars import GrammarState

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Piece:
    """What one token adds to a text.

    Args:
        text: whole characters; empty while one is not complete, or may begin a stop.
        chosen: the token.
        finish_reason: why it is the last piece: `stop` at an end token or a stop, `length` at the most tokens; None
            where more follow.
    """

    text: str
    chosen: ChosenToken
    finish_reason: FinishReason | None = None


class GeneratedText:
    """A text while it is generated. It has ended once `finish_reason` is set, or the model has failed.

    `cached_tokens` is the number of tokens of its prompt that were there before it, and not computed again.

    Args:
        prompt: token ids, one or more.
        settings: how tokens are drawn, and what ends the text.
        max_tokens: most new tokens.
        tokenizer: tokenizer of the model.
        end_tokens: ids of the tokens that end a text of the model.
        vocabulary_size: number of tokens.
        grammar: which tokens may come, and when the text is whole; None where any may come.
        scope: name of those whose prompts may share their beginnings; none is computed for another scope.
        continues: whether it continues the prompt's text, rather than being an answer with a beginning of its own.
    """

    def __init__(
        self,
        prompt: TokenIds,
        settings: GenerationSettings,
        *,
        max_tokens: int,
        tokenizer: Tokenizer,
        end_tokens: Collection[int],
        vocabulary_size: int,
        grammar: "GrammarState | None" = None,
        scope: str = "",
        continues: bool = False,
    ) -> None:
        self.prompt = prompt
        self.scope = scope
        self.cached_tokens = 0
        self.max_tokens = max_tokens
        self.finish_reason: FinishReason | None = None
        self.has_failed = False
        self.newest = int(prompt[-1])
        self._remaining = max_tokens
        self._ends = {*settings.stop_tokens, *(() if settings.ignore_end else end_tokens)}
        self._grammar = grammar
        self._sampler = Sampler(settings, prompt.tolist(), vocabulary_size, grammar)
        self._detokenizer = Detokenizer(tokenizer, prompt.tolist() if continues else ())
        self._stops = StopStrings(settings.stop)

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self.has_failed or self.finish_reason is not None

    def advance(self, logits: NDArray[np.float32]) -> Piece | GenerationError:
        """Chooses the next token and returns what it adds to the text, or why no token follows.

        Args:
            logits: after the prompt and all tokens so far, (vocabulary,).
        """
        if not np.isfinite(logits).all():
            self.has_failed = True
            return self._not_finite()
        chosen = self._sampler.choose(logits)
        self.newest = chosen.token
        self._remaining -= 1
        self.finish_reason = self._reason_to_end(chosen.token)
        text = ""
        if not self._is_beyond(chosen.token):
            text = self._stops.feed(self._detokenizer.feed(chosen.token))
        if self.finish_reason is not None and not self._stops.found:
            text += self._stops.feed(self._detokenizer.flush())
        if self._stops.found:
            self.finish_reason = "stop"
        elif self.finish_reason is not None:
            text += self._stops.flush()
        return Piece(text, chosen, self.finish_reason)

    def _not_finite(self) -> GenerationError:
        written = self.max_tokens - self._remaining
        after = f"{written} tokens of the text" if written else "the prompt"
        return GenerationError(
            f"The model's logits after {after} are not finite numbers, so that no token follows. Use another version "
            "of the model, or one in more bits."
        )

    def _reason_to_end(self, token: int) -> FinishReason | None:
        """Returns why a token is the last one; None where more may follow."""
        if self._grammar is not None and self._grammar.has_failed:
            return "length"
        if token in self._ends or (self._grammar is not None and self._grammar.is_over):
            return "stop"
        return None if self._remaining else "length"

    def _is_beyond(self, token: int) -> bool:
        """Whether a token ends the text without being a part of it."""
        return token in self._ends or (self._grammar is not None and self._grammar.has_failed)
