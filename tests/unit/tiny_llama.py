"""A Llama of a few thousand random parameters as a folder of Hugging Face: weights, byte-level tokenizer, template."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
TOOLS_TEMPLATE = "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}" + TEMPLATE
CORPUS = ["the model reads a prompt and writes a text", "这是一个很棒的文本", "numbers 1 2 3 and naïve cafés 🙂"]
PROMPTS = [
    "the",
    "a prompt that is somewhat longer than the others, so that lengths differ",
    "这是 🙂",
    "1 2 3",
    "x" * 30,
]


def tokenizer() -> Tokenizer:
    """Returns byte-level BPE of 320 tokens; `<|end|>` is 0 and `<|start|>` 1."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = [AddedToken("<|end|>", special=True), AddedToken("<|start|>", special=True)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return made


def llama(**changes: Any) -> LlamaForCausalLM:
    """Returns a model of two layers with grouped queries, 128 positions and tied embeddings."""
    torch.manual_seed(1)
    config = LlamaConfig(
        **{
            "vocab_size": tokenizer().get_vocab_size(), "hidden_size": 48, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "max_position_embeddings": 128, "tie_word_embeddings": True, "initializer_range": 0.3,
            "bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0,
        }
        | changes
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def save(folder: Path, *, template: str | None = TEMPLATE, **changes: Any) -> Path:
    """Writes a model and its tokenizer as transformers does, and returns the folder."""
    llama(**changes).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(), eos_token="<|end|>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    return folder
