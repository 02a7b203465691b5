"""A generated text as a JSON object, for other programs."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from maas.runtime.generation.chat_prompt import ChatMessage
from maas.runtime.generation.generator import Generated, Prompt
from maas.runtime.generation.sampling import ChosenToken


def prompt_of(text: str, *, is_chat: bool, system: str | None = None) -> Prompt:
    """Returns a text as what a model is given: itself, or a conversation that it is the last message of.

    Args:
        text: text to continue, or message.
        is_chat: whether it is a message.
        system: what the model is to be; None for nothing.
    """
    return [*opening_messages(system), {"role": "user", "content": text}] if is_chat else text


def opening_messages(system: str | None) -> list[ChatMessage]:
    """Returns the messages that a conversation begins with, before anybody said anything.

    Args:
        system: what the model is to be; None for nothing.
    """
    return [] if system is None else [{"role": "system", "content": system}]


def generated_record(generated: Generated, tokenizer: Tokenizer) -> dict[str, object]:
    """Returns the text, why it ended, and its numbers of tokens; log probabilities where they were requested.

    Args:
        generated: whole text.
        tokenizer: tokenizer of the model.
    """
    record: dict[str, object] = {
        "text": generated.text,
        "finish_reason": generated.finish_reason,
        "prompt_tokens": generated.prompt_tokens,
        "tokens": len(generated.chosen),
    }
    if all(one.logprob is None for one in generated.chosen):
        return record
    return {**record, "logprobs": _logprobs(generated.chosen, tokenizer)}


def _logprobs(chosen: Sequence[ChosenToken], tokenizer: Tokenizer) -> list[dict[str, object]]:
    return [
        {
            "token": tokenizer.decode([one.token], skip_special_tokens=False),
            "id": one.token,
            "logprob": one.logprob,
            "likeliest": [{"id": token, "logprob": logprob} for token, logprob in one.likeliest],
        }
        for one in chosen
    ]
