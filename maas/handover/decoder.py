"""A decoder as it is handed over: all that a bundle holds of it, in the field's terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maas.errors import ConfigError, ExportError
from maas.handover.rotation import Rotation
from maas.onnx_graphs.decoder import FREQUENCIES, DecoderConfig
from maas.onnx_graphs.decoder_reading import read_decoder
from maas.onnx_graphs.files import read_graph
from maas.records.manifest import Generation
from maas.runtime.bundle import Bundle

Architecture = Literal["llama", "qwen2"]
WeightType = Literal["f32", "f16", "q8_0"]
NO_BIASES: frozenset[str] = frozenset()
ARCHITECTURES: Mapping[frozenset[str], Architecture] = {
    NO_BIASES: "llama",
    frozenset({"q_proj", "k_proj", "v_proj"}): "qwen2",
}
"""What other engines call a decoder, by the products that have a bias."""
LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True)
class HandedDecoder:
    """What a bundle that generates holds of its decoder.

    Args:
        name: name of the model.
        config: shape.
        weights: by their names in transformers' Llama, (outputs, inputs) each.
        rotation: of positions.
        architecture: what other engines call it.
        generation: context, end tokens, special tokens.
        tokenizer_json: content of the tokenizer's file.
        chat_template: Jinja source; None where there is none.
    """

    name: str
    config: DecoderConfig
    weights: Mapping[str, NDArray[np.float32]]
    rotation: Rotation
    architecture: Architecture
    generation: Generation
    tokenizer_json: str
    chat_template: str | None

    @classmethod
    def of(cls, bundle: Bundle) -> "HandedDecoder":
        """Reads a bundle.

        Raises:
            ConfigError: it predicts.
            ExportError: its graph is none that can be read back, or no other engine computes it.
        """
        manifest, generation = bundle.manifest, bundle.manifest.generation
        if generation is None:
            raise ConfigError(
                f"{bundle.folder} is for {manifest.task}; models that generate are handed over. Its graph "
                f"{bundle.model_path} is a file of ONNX, which other runtimes open as it is."
            )
        config, weights = read_decoder(read_graph(bundle.model_path))
        template = generation.chat_template
        return cls(
            name=manifest.name,
            config=config,
            weights={name: values for name, values in weights.items() if name != FREQUENCIES},
            rotation=Rotation.of(weights[FREQUENCIES]),
            architecture=_architecture_of(weights),
            generation=generation,
            tokenizer_json=(bundle.folder / generation.tokenizer).read_text(encoding="utf-8"),
            chat_template=None if template is None else (bundle.folder / template).read_text(encoding="utf-8"),
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Makes tokens of texts."""
        return Tokenizer.from_str(self.tokenizer_json)

    @cached_property
    def first_token(self) -> int | None:
        """The token that the tokenizer puts before a text; None where it adds none.

        Raises:
            ExportError: it adds others.
        """
        plain = self.tokenizer.encode("a", add_special_tokens=False).ids
        found: list[int] = self.tokenizer.encode("a").ids
        if found == plain:
            return None
        if found[1:] != plain:
            raise ExportError("The tokenizer adds more than a first token to a text, which is not handed over.")
        return found[0]

    def special_id(self, name: str) -> int | None:
        """Returns the id of a special token, such as `eos_token`; None where there is none."""
        text = self.generation.special_tokens.get(name)
        found: int | None = None if text is None else self.tokenizer.token_to_id(text)
        return found

    def require_float16(self) -> None:
        """Requires weights that float16 holds.

        Raises:
            ExportError: one is too large.
        """
        for name, values in self.weights.items():
            if (largest := float(np.abs(values).max())) > LARGEST_FLOAT16:
                raise ExportError(f"{name} holds {largest:.4g}, more than float16 can. Set weights=f32.")


def _architecture_of(weights: Mapping[str, NDArray[np.float32]]) -> Architecture:
    biased = frozenset(name.split(".")[-2] for name in weights if name.endswith(".bias"))
    if biased not in ARCHITECTURES:
        raise ExportError(
            f"The decoder has biases of {', '.join(sorted(biased))}; without any it is Llama, with those of q_proj, "
            "k_proj and v_proj Qwen2, and no other is handed over."
        )
    return ARCHITECTURES[biased]
