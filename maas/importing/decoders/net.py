"""A pretrained decoder as a net of a recipe: tuned whole or by an adapter, or taken as it comes.

Its weights are those of transformers' model, so that its bundle is made and proven as that of `maas export MODEL`.
"""

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn
from transformers import PreTrainedModel

from maas.bounds import Tokens
from maas.errors import ConfigError
from maas.importing.decoders.base import LanguageModel, TextFiles
from maas.importing.decoders.pretrained import PretrainedDecoder, untrained_model
from maas.models.gpt import positions_within
from maas.models.pretrained import Adapter, plain_config_of


class DecoderNet(nn.Module):
    """A decoder of the Llama family: tokens to the logits of the token after each one.

    Attention looks back only, and never out of its document, where positions restart.

    Args:
        pretrained: a folder of Hugging Face, a GGUF file, `package:path` to one of them inside an installed package, or
            a hub id.
        context: largest number of tokens of a prompt and its text; null for what the model was trained with.
        adapter: trains added weights only, e.g. `maas.training.lora.LoRA`; null trains all weights.
        config: configuration of transformers, for a model that is not pretrained.

    Raises:
        ConfigError: there is no such model, it is none of the Llama family, or the adapter does not fit it.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        context: Tokens | None = None,
        adapter: Adapter | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if config is None and pretrained is None:
            raise ConfigError(
                "model.pretrained is missing. Set it to a folder, a GGUF file, package:path, or a hub id."
            )
        model = (
            untrained_model(config) if config is not None else PretrainedDecoder.open(str(pretrained), context).model
        )
        self._context = context
        self._adapter = adapter
        self.model: nn.Module = adapter.adapted(model) if adapter else model
        self.model.train()  # transformers opens it in evaluation mode, in which Lightning would leave it

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Returns the logits of the token after each one.

        Args:
            tokens: int64 (N, T).
            documents: int64 (N, T), the number of each token's document; tokens of one document stand together. None
                takes each row as one document.

        Returns:
            (N, T, V)
        """
        seen = {}
        if documents is not None:
            is_seen = (documents[:, :, None] == documents[:, None, :]).tril()[:, None]  # (N, 1, T, T)
            seen = {"attention_mask": is_seen, "position_ids": positions_within(documents)}
        logits: Tensor = self.model(input_ids=tokens, use_cache=False, **seen).logits
        return logits

    def finished(self) -> nn.Module:
        """Returns itself, with plain weights."""
        if self._adapter is not None:
            self.model, self._adapter = self._adapter.merged(self.model), None
        return self

    @property
    def hugging_face(self) -> PreTrainedModel:
        """The transformers model, once training has finished."""
        return cast("PreTrainedModel", self.model)

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without its pretrained weights."""
        return {
            "_target_": f"{__name__}.DecoderNet",
            "context": self._context,
            "config": plain_config_of(self.hugging_face),
        }

    def language_model(self, text_files: TextFiles, origin: str) -> LanguageModel:
        """Returns what its bundle is made of, once its training has finished."""
        return PretrainedDecoder(self.hugging_face, text_files, origin, self._context)
