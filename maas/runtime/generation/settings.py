"""How a text is continued: what callers may set, and where it is checked."""

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from maas.bounds import ClosedFraction, Count, NonNegative, NonNegativeCount, PositiveClosedFraction
from maas.errors import InputError, one_line
from maas.suggesting import nearest_of

Penalty = Annotated[float, Meta(ge=-2, le=2, description="a number from -2 to 2", examples=[0.5])]
RepetitionPenalty = Annotated[float, Meta(ge=0.1, le=10, description="a number from 0.1 to 10", examples=[1.1])]
Bias = Annotated[float, Meta(ge=-1e30, le=1e30, description="a number from -1e30 to 1e30", examples=[-100])]
"""Beyond these two ranges logits in float32 may become infinite, and no token can be drawn."""
Overflow = Literal["refuse", "cut"]
USUAL_MAX_TOKENS = 256
"""Most new tokens where a caller sets none; fewer where the context ends before."""


class GenerationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of one generation, applied in this order: bias, penalties, form, temperature, top-k, top-p, min-p.

    Args:
        max_tokens: most new tokens; None for 256, or fewer where the context ends before.
        temperature: what logits are divided by before a token is drawn; 0 takes the likeliest (greedy).
        top_k: number of likeliest tokens to draw from; 0 for all.
        top_p: smallest set of likeliest tokens whose probabilities add up to this; 1 for all.
        min_p: smallest probability to draw, as a fraction of the largest one; 0 for all.
        repetition_penalty: what logits of tokens of the prompt and the text so far are divided by where positive, and
            multiplied by where negative.
        presence_penalty: subtracted from the logits of tokens that the text so far holds.
        frequency_penalty: subtracted from the logits of a token each time that the text so far holds it.
        logit_bias: added to logits, by token id.
        seed: random seed; None draws another text each time.
        stop: texts that end the generation; they are not part of it.
        stop_tokens: ids of tokens that end it, beside those of the model.
        ignore_end: whether it continues after the model's end tokens.
        logprobs: number of the likeliest tokens whose log probability is reported beside that of each token; None
            reports none.
        overflow: what happens where prompt and `max_tokens` exceed the context: `refuse`, or `cut` the prompt's
            beginning.
        schema: JSON Schema of the JSON that the text must be; `maas[generate]` has what schema, regex and choice need.
        regex: regular expression (of Rust's `regex`, without look-around) that must match the whole text.
        choice: texts of which the text must be one.
    """

    max_tokens: Count | None = None
    temperature: NonNegative = 0.0
    top_k: NonNegativeCount = 0
    top_p: PositiveClosedFraction = 1.0
    min_p: ClosedFraction = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: dict[int, Bias] = {}
    seed: NonNegativeCount | None = None
    stop: tuple[str, ...] = ()
    stop_tokens: tuple[int, ...] = ()
    ignore_end: bool = False
    logprobs: NonNegativeCount | None = None
    overflow: Overflow = "refuse"
    schema: dict[str, Any] | None = None
    regex: str | None = None
    choice: tuple[str, ...] = ()

    @property
    def has_form(self) -> bool:
        """Whether the text must have a form, rather than being any."""
        return self.schema is not None or self.regex is not None or bool(self.choice)


def generation_settings(settings: Mapping[str, Any]) -> GenerationSettings:
    """Checks settings by name; `stop` may be one text.

    Raises:
        InputError: one is unknown, or has no value that it may have.
    """
    for name in settings:
        if name not in GenerationSettings.__struct_fields__:
            raise InputError(f"{name} is no setting of texts.{nearest_of(name, GenerationSettings.__struct_fields__)}")
    stop = settings.get("stop", ())
    try:
        given = {**settings, "stop": [stop] if isinstance(stop, str) else stop}
        found = msgspec.convert(given, GenerationSettings, str_keys=True)  # JSON has no other keys
    except (msgspec.ValidationError, TypeError) as error:
        shown = reprlib.repr(dict(settings))
        raise InputError(f"The model cannot generate with {shown}: {one_line(error)}.") from error
    if "" in found.stop:
        raise InputError("stop holds an empty text; each must have a character.")
    _require_one_form(found)
    return found


def _require_one_form(settings: GenerationSettings) -> None:
    forms = {"schema": settings.schema is not None, "regex": settings.regex is not None, "choice": settings.choice}
    given = [name for name, is_given in forms.items() if is_given]
    if len(given) > 1:
        raise InputError(f"A text has one form, and {' and '.join(given)} are given; give one of them.")
    if "" in settings.choice:
        raise InputError("choice holds an empty text; each must have a character.")
