"""What a Whisper brings beside its weights: tokenizer, tokens that it avoids, and what follows for how it writes."""

import re
from typing import NamedTuple

from tokenizers import Tokenizer
from transformers import WhisperConfig

from maas.errors import ConfigError
from maas.records.manifest import TimedTranscription, Transcription

MULTILINGUAL_FROM = 51865
"""Tokens that a Whisper of many languages has at least."""
START, END, TASK, PLAIN = "<|startoftranscript|>", "<|endoftext|>", "<|transcribe|>", "<|notimestamps|>"
"""Texts of the tokens that a transcript begins and ends with: its text is wanted, without times."""
FIRST_TIME, PREVIOUS = "<|0.00|>", "<|startofprev|>"
"""Texts of the mark of a window's beginning, and of the token before what was said earlier."""
LANGUAGE_TOKEN = re.compile(r"<\|([a-z]{2,3})\|>")
USUAL_LATEST = 50
"""Steps of 0.02 s that the first mark may stand for, of a model that does not say: as those of OpenAI."""


class SpeechFiles(NamedTuple):
    """What a Whisper brings beside its weights.

    Args:
        tokenizer: content of a `tokenizer.json`.
        suppressed_tokens: ids of tokens that are never written.
        suppressed_first: ids of tokens that are not written first.
        is_multilingual: whether the model knows many languages; None where its vocabulary says so.
        latest_beginning: steps of 0.02 s that the first mark of time may stand for.
    """

    tokenizer: str
    suppressed_tokens: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    is_multilingual: bool | None = None
    latest_beginning: int = USUAL_LATEST

    def has_times(self, config: WhisperConfig) -> bool:
        """Whether there are marks of time: the tokens after the one that promises none, which tokenizers may leave out.

        Args:
            config: of the model.
        """
        numbers = Tokenizer.from_str(self.tokenizer)
        plain = numbers.token_to_id(PLAIN)
        if plain is None or config.vocab_size - plain - 1 <= config.max_source_positions:
            return False
        return numbers.id_to_token(plain + 1) in (None, FIRST_TIME)

    def settings(self, config: WhisperConfig, language: str | None, origin: str) -> Transcription:
        """Returns how a model writes.

        Without marks of time, at most half as many tokens are written as it has positions: the other half is for what
        precedes a window.

        Args:
            config: of the model.
            language: that is spoken, such as `en`; None for a model of one language, or to hear which one it is.
            origin: what messages call the model.

        Raises:
            ConfigError: a token is missing, or the language is.
        """
        numbers = Tokenizer.from_str(self.tokenizer)
        knows_many = config.vocab_size >= MULTILINGUAL_FROM if self.is_multilingual is None else self.is_multilingual
        if not knows_many and language not in (None, "en"):
            raise ConfigError(f"{origin} knows English alone; model.language is {language}. Leave it out.")
        has_times = self.has_times(config)
        if knows_many and language is None and not has_times:
            raise ConfigError(f"{origin} knows many languages; set model.language, e.g. model.language=en.")
        spoken = [] if language is None else [f"<|{language}|>"]
        wanted = [START, *([*spoken, TASK] if knows_many else []), PLAIN]
        end, *prompt = (numbers.token_to_id(one) for one in (END, *wanted))
        if missing := [text for text, one in zip((END, *wanted), (end, *prompt), strict=True) if one is None]:
            raise ConfigError(f"The tokenizer of {origin} has no token {missing[0]}; name a Whisper with its own.")
        plain = Transcription(
            end_token=end,
            max_tokens=config.max_target_positions // 2,
            prompt=tuple(prompt),
            suppressed_tokens=self.suppressed_tokens,
            suppressed_first=self.suppressed_first,
        )
        return self._timed(plain, numbers, config.max_target_positions, knows_many) if has_times else plain

    def _timed(self, plain: Transcription, numbers: Tokenizer, positions: int, knows_many: bool) -> TimedTranscription:
        """Returns how a model writes with marks of time; all positions are written that nothing precedes."""
        *prompt, no_times = plain.prompt
        named = ((LANGUAGE_TOKEN.fullmatch(text), token) for text, token in numbers.get_vocab().items())
        languages = {found[1]: token for found, token in named if found} if knows_many else {}
        return TimedTranscription(
            end_token=plain.end_token,
            max_tokens=positions,
            prompt=tuple(prompt),
            suppressed_tokens=self.suppressed_tokens,
            suppressed_first=self.suppressed_first,
            positions=positions,
            first_time=no_times + 1,
            no_times=no_times,
            latest_beginning=self.latest_beginning,
            previous_token=numbers.token_to_id(PREVIOUS),
            languages=dict(sorted(languages.items())),
        )
