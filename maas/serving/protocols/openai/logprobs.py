"""Log probabilities in OpenAI's two forms.

A token that is a part of a character has no text of its own: it is shown as U+FFFD.
"""

from collections.abc import Iterable, Sequence

from maas.runtime.generation.sampling import ChosenToken
from maas.serving.repository import GeneratingDeployment

NO_CHARACTER = "\ufffd"


def token_text(token: int, deployment: GeneratingDeployment) -> str:
    """Returns the text of one token by itself, special ones as the tokenizer names them."""
    text: str = deployment.generator.tokenizer.decode([token], skip_special_tokens=False)
    return text


def chat_logprobs(chosen: Iterable[ChosenToken], deployment: GeneratingDeployment) -> dict[str, object]:
    """Returns log probabilities as chat completions have them: a record for each token."""

    def shown(token: int, logprob: float) -> dict[str, object]:
        text = token_text(token, deployment)
        return {"token": text, "logprob": logprob, "bytes": None if NO_CHARACTER in text else list(text.encode())}

    content = [
        {**shown(one.token, one.logprob or 0.0), "top_logprobs": [shown(*likely) for likely in one.likeliest]}
        for one in chosen
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(
    chosen: Sequence[ChosenToken], deployment: GeneratingDeployment, offset: int
) -> dict[str, object]:
    """Returns log probabilities as completions have them: a list for each kind of record.

    Args:
        chosen: tokens.
        deployment: its tokenizer names them.
        offset: number of characters before the first of them.
    """
    texts = [token_text(one.token, deployment) for one in chosen]
    return {
        "tokens": texts,
        "token_logprobs": [one.logprob for one in chosen],
        "top_logprobs": [{token_text(token, deployment): value for token, value in one.likeliest} for one in chosen],
        "text_offset": [offset + sum(map(len, texts[:place])) for place in range(len(texts))],
    }
