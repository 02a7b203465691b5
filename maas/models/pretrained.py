"""Hugging Face models as nets: a transformers model inside, model inputs by name outside.

Weights come from a folder, an installed package or the hub, or a config alone gives an untrained model: so a checkpoint
can be rebuilt where none of them is at hand. Nothing is tokenised here.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction
from maas.errors import ConfigError
from maas.runtime.places import local_place

try:
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForSequenceClassification,
        PretrainedConfig,
        PreTrainedModel,
    )
    from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise ImportError("transformers is not installed. In a checkout of maas: pip install '.[huggingface]'") from error

log = logging.getLogger("maas")


class Adapter(Protocol):
    """Trains a few added weights in a model's stead, e.g. `maas.training.lora.LoRA`."""

    def adapted(self, model: nn.Module) -> nn.Module:
        """Returns the model with weights added, the only ones that can be trained."""

    def merged(self, model: nn.Module) -> nn.Module:
        """Returns a model of plain weights that answers as the adapted one."""


class SequenceClassifier(nn.Module):
    """A pretrained encoder with a linear head, which begins at random where the pretrained model has none of its size.

    Args:
        outputs: K.
        pretrained: a folder, `package:path` inside an installed package, or a hub id.
        dropout: fraction that training drops wherever the model drops anything; null keeps the model's own.
        adapter: trains added weights only; null trains all weights.
        config: configuration of transformers, for a model that is not pretrained.

    Raises:
        ConfigError: there is no model to be found.
    """

    def __init__(
        self,
        outputs: Count,
        pretrained: str | None = None,
        *,
        dropout: Fraction | None = None,
        adapter: Adapter | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        model = pretrained_model(AutoModelForSequenceClassification, pretrained, config, dropout, num_labels=outputs)
        self._adapter = adapter
        self.model: Any = adapter.adapted(model) if adapter else model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Returns logits.

        Args:
            input_ids: int64 (N, T).
            attention_mask: int64 (N, T), 1 on tokens and 0 on padding.
            token_type_ids: int64 (N, T); None where the model has no types, or all are 0.

        Returns:
            (N, K)
        """
        logits: Tensor = self.model(**_model_inputs(input_ids, attention_mask, token_type_ids)).logits
        return logits

    @property
    def hugging_face(self) -> PreTrainedModel:
        """The transformers model, once training has finished."""
        model: PreTrainedModel = self.model
        return model

    def finished(self) -> nn.Module:
        """Returns itself, with plain weights."""
        if self._adapter is not None:
            self.model, self._adapter = self._adapter.merged(self.model), None
        return self

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without its pretrained weights."""
        config = plain_config_of(self.model)
        return {"_target_": f"{__name__}.SequenceClassifier", "outputs": self.model.config.num_labels, "config": config}


class SentenceEncoder(nn.Module):
    """The mean of a pretrained encoder's vectors over the tokens, divided by its length: v / max(‖v‖₂, 1e-12).

    Args:
        pretrained: a folder, `package:path` inside an installed package, or a hub id.
        config: configuration of transformers, for a model that is not pretrained.

    Raises:
        ConfigError: there is no model to be found.

    Source:
        Reimers and Gurevych, Sentence-BERT, arXiv:1908.10084, §3.
    """

    def __init__(self, pretrained: str | None = None, *, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.model: Any = pretrained_model(AutoModel, pretrained, config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Returns vectors of length 1.

        Args:
            input_ids: int64 (N, T).
            attention_mask: int64 (N, T), 1 on tokens and 0 on padding.
            token_type_ids: int64 (N, T); None where the model has no types, or all are 0.

        Returns:
            (N, D)
        """
        hidden: Tensor = self.model(
            **_model_inputs(input_ids, attention_mask, token_type_ids)
        ).last_hidden_state  # (N, T, D)
        mask = attention_mask.unsqueeze(2).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return functional.normalize(mean, dim=1)

    @property
    def hugging_face(self) -> PreTrainedModel:
        """The transformers model, once training has finished."""
        model: PreTrainedModel = self.model
        return model

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without its pretrained weights."""
        return {"_target_": f"{__name__}.SentenceEncoder", "config": plain_config_of(self.model)}


def _model_inputs(input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> dict[str, Tensor]:
    types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
    return {"input_ids": input_ids, "attention_mask": attention_mask, **types}


def pretrained_model(
    kind: Any,
    pretrained: str | None,
    config: Mapping[str, Any] | None,
    dropout: float | None = None,
    **settings: Any,
) -> PreTrainedModel:
    """Builds a model with its pretrained weights, or untrained from a config, in float32.

    Args:
        kind: class of transformers that opens it.
        pretrained: a folder, `package:path` inside an installed package, or a hub id.
        config: configuration of transformers, for a model that is not pretrained.
        dropout: fraction that training drops wherever the model drops anything; None keeps the model's own.
        settings: further settings of its configuration.

    Raises:
        ConfigError: there is no model to be found.
    """
    if config is not None:
        model: PreTrainedModel = kind.from_config(AutoConfig.for_model(**{**config, **settings}))
        return model
    if pretrained is None:
        raise ConfigError("model.pretrained is missing. Set it to a folder, package:path, or a hub id.")
    path = local_place(pretrained)
    place, local = str(path or pretrained), path is not None
    try:
        with _silent():
            found = AutoConfig.from_pretrained(place, local_files_only=local, **settings)
            _set_dropout(found, dropout)
            model, loading = kind.from_pretrained(
                place,
                config=found,
                dtype=torch.float32,
                local_files_only=local,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError) as error:  # what transformers raises for missing, unknown and unreachable models
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        raise ConfigError(f"model.pretrained is {pretrained}, which cannot be loaded: {reason}.") from error
    fresh = sorted({*loading["missing_keys"], *loading["mismatched_keys"]})
    if fresh:
        log.info("model     these weights begin at random: %s", ", ".join(fresh))
    model.train()  # transformers returns it in evaluation mode, in which Lightning would leave it: nothing dropped
    return model


def _set_dropout(config: PretrainedConfig, fraction: float | None) -> None:
    """Sets every fraction that a model drops; model types name them differently."""
    for name, value in config.to_dict().items():
        if fraction is not None and "dropout" in name and isinstance(value, float):
            setattr(config, name, fraction)


def plain_config_of(model: PreTrainedModel) -> dict[str, Any]:
    """Returns a model's config as JSON values: what its type does not imply, and no path of this machine."""
    left_out = ("_name_or_path", "architectures", "dtype", "num_labels", "transformers_version")
    return {name: value for name, value in model.config.to_diff_dict().items() if name not in left_out}


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps transformers from warning of weights that begin at random; what is worth saying is logged here."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
