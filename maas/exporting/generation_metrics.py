"""How well a model that generates predicts whole rows, by its net and by the graph that is served, and answers."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from torch import nn

from maas.data.packing import NO_TARGET, require_tokenising
from maas.evidence.metrics import wilson
from maas.evidence.text_metrics import TextLikelihoods
from maas.records.evidence import Interval
from maas.runtime.generation.decoder import Decoder
from maas.runtime.generation.generator import Prompt, TextGenerator
from maas.runtime.generation.passages import Exercise, TextRow, exercise_of
from maas.runtime.generation.sampling import log_softmax
from maas.runtime.generation.settings import GenerationSettings
from maas.runtime.processors import Processor
from maas.training.text_likelihoods import TextWindow, TokenSums, no_sums, token_sums, tokens_and_targets, windows_of

MOST_EXERCISES = 200
"""Conversations that are answered at most, evenly spaced: the interval is then within 7 points on either side."""


def net_likelihoods(net: nn.Module, processor: Processor, rows: Sequence[TextRow]) -> TextLikelihoods:
    """Returns what a net gives to each of some rows.

    Args:
        net: in evaluation mode, on the CPU.
        processor: that it was trained with.
        rows: N texts or conversations.
    """
    return TextLikelihoods.of(rows, *token_sums(net, require_tokenising(processor), rows))


def bundle_likelihoods(generator: TextGenerator, rows: Sequence[TextRow], length: int) -> TextLikelihoods:
    """Returns what a bundle gives to each of some rows, read step by step, several windows together.

    Args:
        generator: of the bundle.
        rows: N texts or conversations.
        length: most tokens of a window, as the net of the bundle was measured with.

    Raises:
        InputError: a row cannot be understood.
    """
    sums = no_sums(len(rows))
    windows = windows_of(map(generator.passage, rows), length)
    while together := list(islice(windows, generator.batch_size)):
        _add(sums, generator.decoder, together)
    return TextLikelihoods.of(rows, *sums)


def exact_match(generator: TextGenerator, rows: Sequence[TextRow]) -> Interval | None:
    """Returns the fraction of conversations whose last answer is the greedy text after what precedes it.

    Blanks around both are not compared.

    Args:
        generator: of the bundle.
        rows: texts and conversations; texts are left out.

    Returns:
        With Wilson's interval; None where no row is a conversation that ends with an answer.
    """
    places = np.linspace(0, len(rows) - 1, min(MOST_EXERCISES, len(rows))).astype(int).tolist()
    exercises = [found for place in places if (found := exercise_of(rows[place]))]
    if not exercises:
        return None
    longest = max(len(generator.tokenizer.encode(one.response).ids) for one in exercises)
    settings = GenerationSettings(max_tokens=min(longest + 1, generator.context_length // 2), overflow="cut")
    texts = generator.generate([prompt_before(one, generator) for one in exercises], settings)
    right = (text.text.strip() == one.response.strip() for text, one in zip(texts, exercises, strict=True))
    return wilson(sum(right), len(exercises))


def prompt_before(exercise: Exercise, generator: TextGenerator) -> Prompt:
    """Returns what a model is given of an exercise: the conversation, or its contents where it has no template."""
    if generator.has_chat_template:
        return exercise.prompt
    return "".join(str(message["content"]) for message in exercise.prompt)


def _add(sums: TokenSums, decoder: Decoder, windows: Sequence[TextWindow]) -> None:
    """Adds what windows give to their rows; what precedes the first target of all of them is read at once."""
    tokens, targets = tokens_and_targets(windows)
    rows = np.array([window.text for window in windows])
    first = int((targets != NO_TARGET).argmax(axis=1).min())
    cache = decoder.new_cache(*tokens.shape)
    logits = decoder.prefill(cache, 0, list(tokens[:, : first + 1]))
    for place in range(first, tokens.shape[1]):
        if place > first:
            logits = decoder.step(cache, tokens[:, place].tolist())
        wanted = targets[:, place]
        counted = wanted != NO_TARGET
        logs = log_softmax(logits[counted])
        np.add.at(sums.nats, rows[counted], -logs[np.arange(len(logs)), wanted[counted]])
        np.add.at(sums.right, rows[counted], logs.argmax(axis=1) == wanted[counted])
        np.add.at(sums.tokens, rows[counted], 1)
