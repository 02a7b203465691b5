"""What a model that continues texts brings along for its export, whoever trained it."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from maas.onnx_graphs.decoder import DecoderConfig, Weights


@dataclass(frozen=True)
class TextFiles:
    """What makes tokens of texts.

    Args:
        tokenizer: content of a `tokenizer.json`.
        chat_template: Jinja source; None where the model only continues texts.
        special_tokens: texts of tokens by the names that templates use, such as `eos_token`.
        end_tokens: ids of the tokens that end a text.
    """

    tokenizer: str
    chat_template: str | None = None
    special_tokens: dict[str, str] = field(default_factory=dict)
    end_tokens: tuple[int, ...] = ()


class LanguageModel(Protocol):
    """A decoder that gives the weights of its graph, and the logits that the graph must reproduce."""

    @property
    def framework(self) -> str:
        """What evidence and messages call it."""
        ...

    @property
    def origin(self) -> str:
        """Where it was taken from."""
        ...

    @property
    def config(self) -> DecoderConfig:
        """The shape of its graph."""
        ...

    @property
    def weights(self) -> Weights:
        """Its weights, by their names in transformers' Llama."""
        ...

    @property
    def text_files(self) -> TextFiles:
        """What makes tokens of texts."""
        ...

    def logits(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the logits after each token of a sequence by its own framework, (T,) → (T, vocabulary)."""
        ...


@runtime_checkable
class PretrainedNet(Protocol):
    """A net that is a language model once it is given what makes tokens of texts."""

    def language_model(self, text_files: TextFiles, origin: str) -> LanguageModel:
        """Returns the language model.

        Args:
            text_files: that the net was trained with.
            origin: what messages call it.
        """
        ...
