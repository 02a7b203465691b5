"""A tokenizer as the vocabulary of a GGUF file: tokens, their kinds, merges, and how texts are split.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, Tokenizer; llama.cpp, convert_hf_to_gguf.py.
"""

import json
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, models

from maas.errors import ExportError
from maas.importing.decoders.gguf_tokenizer import CONTROL, SPLITS, USER_DEFINED

ORDINARY, UNUSED = 1, 5
"""Kinds of tokens, beside those that texts are searched for."""
INSTEAD = "Hand over a folder of Hugging Face, target=vllm, instead."


@dataclass(frozen=True)
class GgufVocabulary:
    """What a GGUF file says of its tokenizer.

    Args:
        tokens: texts of the tokens by id, bytes written as GPT-2 does.
        kinds: kind of each.
        merges: pairs that are joined, the first ones first.
        split: name of the rule by which texts are split before.
    """

    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    split: str

    @classmethod
    def of(cls, tokenizer_json: str, size: int) -> "GgufVocabulary":
        """Reads a tokenizer.

        Args:
            tokenizer_json: content of its file.
            size: number of vectors of the decoder; ids that no text gives have tokens of their own.

        Raises:
            ExportError: it is of a kind that GGUF has no name for, or that is not read here.
        """
        record: dict[str, Any] = json.loads(tokenizer_json)
        model, added = record["model"], record["added_tokens"]
        _require_known(record)
        tokens, kinds = [f"[PAD{index}]" for index in range(size)], [UNUSED] * size
        for text, index in model["vocab"].items():
            tokens[index], kinds[index] = text, ORDINARY
        for one in added:
            tokens[one["id"]], kinds[one["id"]] = one["content"], CONTROL if one["special"] else USER_DEFINED
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
        return cls(tokens, kinds, merges, _split_of(record["pre_tokenizer"]))


def _require_known(record: dict[str, Any]) -> None:
    """Requires byte-level BPE without what GGUF cannot say.

    Raises:
        ExportError: it is another one.
    """
    model = record["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or not model["merges"]:
        kind = "characters and bytes" if model["type"] == "BPE" else str(model["type"])
        raise ExportError(f"The tokenizer is of {kind}; byte-level BPE is written as GGUF. {INSTEAD}")
    if record["normalizer"] is not None:
        raise ExportError(f"The tokenizer changes texts before it splits them, which GGUF has no word for. {INSTEAD}")
    for one in record["added_tokens"]:
        if one["lstrip"] or one["rstrip"] or one["single_word"]:
            raise ExportError(
                f"The token {one['content']} takes blanks beside it along, which GGUF has no word for. {INSTEAD}"
            )


def _split_of(rule: dict[str, Any] | None) -> str:
    """Returns what GGUF calls a rule that splits texts.

    Raises:
        ExportError: it has no name, or one that is not read here.
    """
    for name, make in SPLITS.items():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = make()
        if _as_compared(json.loads(tokenizer.to_str())["pre_tokenizer"]) == _as_compared(rule):
            return name
    kind = None if rule is None else rule["type"]
    raise ExportError(
        f"The tokenizer splits texts by a rule of kind {kind} that is none of {', '.join(SPLITS)}. {INSTEAD}"
    )


def _as_compared(rule: object) -> object:
    """Returns a rule without what changes no token: where in a text a token is said to lie."""
    if isinstance(rule, dict):
        return {key: _as_compared(value) for key, value in rule.items() if key != "trim_offsets"}
    return list(map(_as_compared, rule)) if isinstance(rule, list) else rule
