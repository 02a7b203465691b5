"""A GPT that a recipe trained, as its bundle needs it: the weights of its graph, its tokenizer, its own logits."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, processors
from torch import Tensor

from maas.errors import ExportError
from maas.importing.decoders.base import TextFiles
from maas.models.gpt import GPT
from maas.onnx_graphs.decoder import FREQUENCIES, DecoderConfig, Weights
from maas.runtime.processors.generative_text import END_OF_TEXT, GenerativeTextProcessor
from maas.runtime.processors.text import TOKENIZER_FILE
from maas.training.checkpoint import PROCESSOR, Checkpoint

_OF_A_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)\.weight$")
OF_BLOCKS = {
    "attention_norm": "input_layernorm",
    "attention.queries": "self_attn.q_proj",
    "attention.keys": "self_attn.k_proj",
    "attention.values": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
OTHERS = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "unembedding.weight": "lm_head.weight",
}
"""What transformers' Llama calls the weights of a `GPT`."""


@dataclass(frozen=True)
class TrainedDecoder:
    """The decoder of a checkpoint.

    Args:
        checkpoint: trained by a recipe whose task is `generation`.

    Raises:
        ExportError: its net or its processor is none that can be exported.
    """

    checkpoint: Checkpoint
    framework: ClassVar[str] = "torch"

    def __post_init__(self) -> None:
        """Requires a net and a processor of maas."""
        processor = self.checkpoint.record.processor.get("kind")
        if not isinstance(self.checkpoint.model(), GPT) or processor != GenerativeTextProcessor.kind:
            raise ExportError(
                f"{self.origin} with a {processor} processor cannot be exported to generate texts; maas.models.gpt.GPT "
                f"with {GenerativeTextProcessor.kind} can."
            )

    @property
    def origin(self) -> str:
        """Import path of the net's class."""
        return self.checkpoint.record.net.target

    @cached_property
    def config(self) -> DecoderConfig:
        """The shape of the graph; its context is the length of the sequences that the net was trained on."""
        net, weights = self._net, self.weights
        keys, queries = (weights[f"model.layers.0.self_attn.{one}_proj.weight"] for one in "kq")
        return DecoderConfig(
            layers=len(net.blocks),
            heads=len(queries) // net.head_size,
            kv_heads=len(keys) // net.head_size,
            head_size=net.head_size,
            hidden_size=net.embedding.embedding_dim,
            intermediate_size=len(weights["model.layers.0.mlp.gate_proj.weight"]),
            vocabulary_size=net.embedding.num_embeddings,
            context_length=int(self.checkpoint.record.processor["max_tokens"]),
            norm_epsilon=float(net.norm.eps or 0.0),
            is_tied=net.unembedding is None,
        )

    @cached_property
    def weights(self) -> Weights:
        """Weights and rotations by their names in transformers' Llama; they share the net's memory."""
        net = self._net
        pairs = torch.arange(0, net.head_size, 2, dtype=torch.float32)
        weights = {_name_of(name): tensor.detach().numpy() for name, tensor in net.state_dict().items()}
        return {**weights, FREQUENCIES: (net.rotary_theta ** (-pairs / net.head_size)).numpy()}

    @cached_property
    def text_files(self) -> TextFiles:
        """The tokenizer, which puts the token before a text that stood there in training; the same token ends one."""
        tokenizer = Tokenizer.from_file(str(self.checkpoint.folder / PROCESSOR / TOKENIZER_FILE))
        end = int(tokenizer.token_to_id(END_OF_TEXT))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, end)]
        )
        content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False)
        return TextFiles(content, special_tokens={"eos_token": END_OF_TEXT}, end_tokens=(end,))

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the logits after each token of a sequence, (T,) → (T, vocabulary)."""
        with torch.inference_mode():
            found: Tensor = self._net(torch.from_numpy(tokens)[None])[0]
        return found.numpy()

    @cached_property
    def _net(self) -> GPT:
        return cast("GPT", self.checkpoint.model())


def beginnings_of(texts: Sequence[str]) -> list[str]:
    """Returns the beginnings of texts as prompts, of 1 to 96 characters in turn."""
    return [text[: 1 + (17 * index) % 96] for index, text in enumerate(texts)]


def _name_of(name: str) -> str:
    """Returns what transformers' Llama calls a weight.

    Raises:
        ExportError: it has none like it.
    """
    block = _OF_A_BLOCK.match(name)
    found = OTHERS.get(name) if block is None else OF_BLOCKS.get(block[2])
    if found is None:
        raise ExportError(f"The net's weight {name} is none of a decoder's.")
    return found if block is None else f"model.layers.{block[1]}.{found}.weight"
