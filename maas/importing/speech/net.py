"""A pretrained Whisper as a net of a recipe, taken as it comes; and the processor of its sounds and tokens."""

from collections.abc import Mapping
from typing import Any

import msgspec
from torch import Tensor, nn

from maas.bounds import Count
from maas.errors import ConfigError
from maas.importing.speech.pretrained import (
    PretrainedWhisper,
    config_at,
    opened_whisper,
    speech_files_at,
    untrained_whisper,
    window_s,
)
from maas.models.pretrained import plain_config_of
from maas.records.manifest import TimedTranscription, Transcription
from maas.runtime.processors.spoken_text import SpokenTextProcessor


class WhisperNet(nn.Module):
    """A Whisper: windows of samples to the logits of the first token of each.

    Args:
        pretrained: a folder of Hugging Face or of CTranslate2, `package:path` to one inside an installed package, or a
            hub id.
        language: that is spoken, such as `en`, where the model knows many; null where it knows one.
        config: arguments of transformers' `WhisperConfig`, for a model that is not pretrained.
        settings: how such a model writes, a record of `maas.records.manifest.Transcription`.

    Raises:
        ConfigError: there is no such model, or it is no Whisper that can be exported.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        language: str | None = None,
        config: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if config is not None and settings is not None:
            kind = TimedTranscription if "first_time" in settings else Transcription
            found = PretrainedWhisper(untrained_whisper(config), msgspec.convert(settings, kind))
        elif pretrained is not None:
            found = opened_whisper(pretrained, language)
        else:
            raise ConfigError("model.pretrained is missing. Set it to a folder, package:path, or a hub id.")
        self._settings = found.settings
        self.model = found.model

    def forward(self, samples: Tensor) -> Tensor:
        """Returns the logits of the first token of each window.

        Args:
            samples: float32 (N, W, T).

        Returns:
            (N, W, V)
        """
        windows = samples.flatten(0, 1)
        prompt = windows.new_tensor(self._settings.prompt).long().expand(len(windows), -1)
        spectrograms = self.speech_model().spectrograms(windows.numpy())
        logits: Tensor = self.model(spectrograms, decoder_input_ids=prompt).logits[:, -1]
        return logits.view(*samples.shape[:2], -1)

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without its pretrained weights."""
        return {
            "_target_": f"{__name__}.WhisperNet",
            "config": plain_config_of(self.model),
            "settings": msgspec.to_builtins(self._settings),
        }

    def speech_model(self) -> PretrainedWhisper:
        """Returns what its bundle is made of."""
        return PretrainedWhisper(self.model, self._settings)


def spoken_text_processor(pretrained: str | None, max_windows: Count = 20) -> SpokenTextProcessor:
    """Returns what reads sounds for a Whisper and makes texts of its tokens.

    Args:
        pretrained: as of `WhisperNet`; that of the recipe's model unless the recipe says otherwise.
        max_windows: the most windows of a sound; a longer one is refused.

    Raises:
        ConfigError: nothing is named, or there is no such model.
    """
    if pretrained is None:
        raise ConfigError(
            "processor.pretrained is missing. Set it, or model.pretrained, to a folder, package:path, or a hub id."
        )
    files, config = speech_files_at(pretrained), config_at(pretrained)
    return SpokenTextProcessor(window_s(config), max_windows, not files.has_times(config), content=files.tokenizer)
