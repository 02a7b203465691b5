"""A pretrained decoder of the Llama family with all that its bundle needs: weights, tokenizer, template, end tokens.

It comes from a folder, an installed package, a GGUF file or the hub, and transformers opens it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maas.errors import ConfigError, one_line
from maas.importing.decoders.base import TextFiles
from maas.importing.decoders.gguf_tokenizer import gguf_tokenizer
from maas.importing.saved_models import generation_config, opening
from maas.onnx_graphs.decoder import FREQUENCIES, DecoderConfig, Weights
from maas.runtime.places import local_place

try:
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        PretrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )
except ImportError as error:
    raise ImportError("transformers is not installed. In a checkout of maas: pip install '.[huggingface]'") from error

_KIND = "a language model"
MODEL_TYPES = ("llama", "mistral", "qwen2")
"""What transformers calls architectures that are computed as Llama's."""
ROTATIONS = ("default", "linear", "llama3")
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class PretrainedDecoder:
    """A decoder as transformers opened it.

    Args:
        model: `LlamaForCausalLM` or one that is computed alike, in float32 and evaluation mode.
        text_files: what makes tokens of texts.
        origin: where it was taken from.
        context_length: largest number of tokens; None for what the model was trained with.
    """

    model: PreTrainedModel
    text_files: TextFiles
    origin: str
    context_length: int | None = None
    framework: ClassVar[str] = "torch"

    @classmethod
    def open(cls, place: str, context_length: int | None = None) -> "PretrainedDecoder":
        """Opens a decoder.

        Args:
            place: a folder of Hugging Face, a GGUF file, `package:path` to one of them inside an installed package, or
                a hub id.
            context_length: largest number of tokens, for a smaller table of rotations; None for what the model was
                trained with.

        Raises:
            ConfigError: there is no such model, it cannot be opened, or it is none of the Llama family.
        """
        path = local_place(place)
        if path is not None and path.suffix == ".gguf":
            model = _opened(place, path.parent, gguf_file=path.name)
            found = gguf_tokenizer(path)
        else:
            model = _opened(place, path or place)
            found = _text_files(place, path or place, model.generation_config)
        decoder = cls(model, found, place, context_length)
        decoder.require_context()
        return decoder

    @cached_property
    def config(self) -> DecoderConfig:
        """The shape of the graph."""
        found = self.model.config
        return DecoderConfig(
            layers=found.num_hidden_layers,
            heads=found.num_attention_heads,
            kv_heads=found.num_key_value_heads,
            head_size=getattr(found, "head_dim", None) or found.hidden_size // found.num_attention_heads,
            hidden_size=found.hidden_size,
            intermediate_size=found.intermediate_size,
            vocabulary_size=found.vocab_size,
            context_length=self.context_length or found.max_position_embeddings,
            norm_epsilon=found.rms_norm_eps,
            is_tied=bool(found.tie_word_embeddings),
        )

    @property
    def weights(self) -> Weights:
        """Weights and rotations as the graph takes them; they share the model's memory."""
        state = {name: tensor.detach().numpy() for name, tensor in self.model.state_dict().items()}
        return {**state, FREQUENCIES: self.model.model.rotary_emb.inv_freq.numpy().astype(np.float32)}

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the logits after each token of a sequence, (T,) → (T, vocabulary)."""
        with torch.inference_mode():
            found: Tensor = self.model(torch.from_numpy(tokens)[None]).logits[0]
        return found.numpy()

    def require_context(self) -> None:
        """Requires a context that the model was trained with.

        Raises:
            ConfigError: it is larger.
        """
        most = self.model.config.max_position_embeddings
        if self.context_length is not None and self.context_length > most:
            raise ConfigError(f"The context is {self.context_length} tokens; {self.origin} was trained with {most}.")


def text_files_at(place: str) -> TextFiles:
    """Returns what makes tokens of texts for a decoder, whose weights are not read.

    Args:
        place: as of `PretrainedDecoder.open`.

    Raises:
        ConfigError: there is no such model, or it has no tokenizer of the Rust library.
    """
    path = local_place(place)
    if path is not None and path.suffix == ".gguf":
        return gguf_tokenizer(path)
    with opening(place, _KIND):
        generation = generation_config(path or place)
    return _text_files(place, path or place, generation)


def untrained_model(config: Mapping[str, Any]) -> PreTrainedModel:
    """Returns a decoder with random weights, in float32.

    Args:
        config: of transformers, its `model_type` among it.

    Raises:
        ConfigError: it is none of the Llama family.
    """
    found = AutoConfig.for_model(**config)
    _require_llama("model.config", found)
    library = cast("Any", AutoModelForCausalLM)
    model: PreTrainedModel = library.from_config(found, dtype=torch.float32)
    return model


def _opened(name: str, place: Path | str, gguf_file: str | None = None) -> PreTrainedModel:
    """Returns the model in float32; one of another architecture is refused before its weights are read.

    Raises:
        ConfigError: it cannot be opened, or is none of the Llama family.
    """
    if isinstance(place, Path) and gguf_file is None and not (place / "config.json").is_file():
        raise ConfigError(f"{name} holds no config.json; name a folder that transformers saved, or a GGUF file.")
    where = {"local_files_only": isinstance(place, Path)}
    with opening(name, _KIND):
        if gguf_file is None:
            _require_llama(name, AutoConfig.from_pretrained(str(place), **where))
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            str(place), dtype=torch.float32, gguf_file=gguf_file, **where
        )
    _require_llama(name, model.config)
    model.train(False)
    return model


def _require_llama(place: str, config: PretrainedConfig) -> None:
    """Requires an architecture that the graph computes.

    Raises:
        ConfigError: it is another one, or a variant.
    """
    if variant := _variant(config):
        raise ConfigError(
            f"{place} has {variant}; decoders are exported that are computed as Llama: {', '.join(MODEL_TYPES)} with "
            "silu, full attention and rotations that do not change with the length."
        )


def _variant(config: PretrainedConfig) -> str | None:
    """Returns what the graph does not compute; None where it computes all."""
    if config.model_type not in MODEL_TYPES:
        return f"the architecture {config.model_type}"
    if config.hidden_act != "silu":
        return f"the activation {config.hidden_act}"
    if getattr(config, "use_sliding_window", True) and getattr(config, "sliding_window", None):
        return "attention to a window of positions"
    rotation = (getattr(config, "rope_scaling", None) or {}).get("rope_type", "default")
    return None if rotation in ROTATIONS else f"rotations of kind {rotation}"


def _text_files(name: str, place: Path | str, generation: GenerationConfig | None) -> TextFiles:
    """Returns what transformers makes tokens by.

    Raises:
        ConfigError: there is no tokenizer of the Rust library.
    """
    library = cast("type[PreTrainedTokenizerBase]", AutoTokenizer)
    try:
        found = library.from_pretrained(str(place), local_files_only=isinstance(place, Path))
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:  # the last where no file is there
        raise ConfigError(f"{name} has no tokenizer that can be opened: {one_line(error)}.") from error
    if not found.is_fast:
        raise ConfigError(f"{name} has no tokenizer.json, which texts are read with; save one with its tokenizer.")
    template = found.chat_template
    return TextFiles(
        tokenizer=json.dumps(json.loads(found.backend_tokenizer.to_str()), ensure_ascii=False),
        chat_template=template if isinstance(template, str) else (template or {}).get("default"),
        special_tokens={one: str(getattr(found, one)) for one in SPECIAL if getattr(found, one)},
        end_tokens=_end_tokens(generation, found.eos_token_id),
    )


def _end_tokens(generation: GenerationConfig | None, own: int | None = None) -> tuple[int, ...]:
    """Returns the ids that end a text: what the model's generation is configured with, else the tokenizer's."""
    found = own if generation is None or generation.eos_token_id is None else generation.eos_token_id
    return () if found is None else tuple(found) if isinstance(found, list) else (int(found),)
