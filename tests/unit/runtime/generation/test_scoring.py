"""How likely a text is after many prompts: as torch says, whatever shares its batch."""

import numpy as np
import pytest
import torch

from maas.errors import GenerationError
from maas.runtime.generation.scoring import continuation_logprobs
from maas.runtime.generation.settings import generation_settings


@pytest.mark.parametrize("batch_size", [1, 2, 4, 64])
def test_log_probabilities_are_those_of_torch_when_prompts_are_ragged(generator, llama, tiny_llama, batch_size):
    prompts = [generator.encode(prompt) for prompt in (*tiny_llama.PROMPTS, "so", "a")]
    tokens = generator.encode(" text").tolist()
    found = continuation_logprobs(generator.decoder, prompts, tokens, batch_size)
    assert found.shape == (7, len(tokens))
    for prompt, logprobs in zip(prompts, found, strict=True):
        given = torch.tensor([[*prompt, *tokens]])
        with torch.inference_mode():
            logs = torch.log_softmax(llama.model(given).logits[0, len(prompt) - 1 : -1], dim=-1).numpy()
        np.testing.assert_allclose(logprobs, logs[np.arange(len(tokens)), tokens], atol=1e-4)


def test_model_is_refused_when_its_logits_are_not_finite(failing, tiny_llama):
    tokens = failing.whole.encode(failing.prompt)
    settings = generation_settings({"max_tokens": 24, "ignore_end": True})
    text = failing.whole.generate([failing.prompt], settings)[0].tokens
    with pytest.raises(GenerationError, match="are not finite numbers"):
        continuation_logprobs(failing.generator.decoder, [tokens], text, 4)
