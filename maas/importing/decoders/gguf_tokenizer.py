"""The tokenizer that a GGUF file holds, as a `tokenizer.json`.

transformers 4.57 builds another one of it: it adds a token at the beginning that the file says not to add, names
another end token, and splits blanks before a digit otherwise.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from maas.errors import ConfigError
from maas.importing.base import needed
from maas.importing.decoders.base import TextFiles

CONTROL, USER_DEFINED = 3, 4
"""Kinds of tokens that are found in a text before it is split; those of control are no text."""

SPLITS: Mapping[str, Callable[[], Any]] = {
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}
"""How a text is split before pairs are merged, by the name that GGUF has for it."""


def gguf_tokenizer(path: Path) -> TextFiles:
    """Returns the tokenizer, the chat template if there is one, and the tokens that end a text or a turn.

    Args:
        path: GGUF file.

    Raises:
        ConfigError: it is of another kind than byte-level BPE, or splits texts in a way that is not known here.
    """
    fields = _fields(path)
    kind, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "gpt-2")
    if kind != "gpt2" or split not in SPLITS:
        raise ConfigError(
            f"{path.name} has a tokenizer of kind {kind}, split as {split}; byte-level BPE (gpt2) is read, split as "
            f"{' or '.join(SPLITS)}. Name the folder of Hugging Face that the file was made of."
        )
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ", 1)) for pair in fields["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = SPLITS[split]()
    made.decoder = decoders.ByteLevel()
    kinds = fields.get("tokenizer.ggml.token_type", [])
    made.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, one in zip(tokens, kinds, strict=False)
            if one == CONTROL
        ]
    )
    made.add_tokens(
        [AddedToken(token, normalized=False) for token, one in zip(tokens, kinds, strict=False) if one == USER_DEFINED]
    )
    special = {
        f"{name}_token": tokens[index]
        for name in ("bos", "eos")
        if (index := fields.get(f"tokenizer.ggml.{name}_token_id")) is not None
    }
    if fields.get("tokenizer.ggml.add_bos_token", False):
        first = special["bos_token"]
        made.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, made.token_to_id(first))]
        )
    ends = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")]
    return TextFiles(
        made.to_str(),
        fields.get("tokenizer.chat_template"),
        special,
        end_tokens=tuple(dict.fromkeys(one for one in ends if one is not None)),
    )


def _fields(path: Path) -> dict[str, Any]:
    """Returns what a file says of its tokenizer."""
    reader = needed("gguf", "huggingface").GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items() if name.startswith("tokenizer.")}
