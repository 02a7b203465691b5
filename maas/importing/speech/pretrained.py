"""A pretrained Whisper with all that its bundle needs: weights, tokenizer, and which tokens it begins with and avoids.

It comes from a folder, an installed package or the hub. transformers opens it, or it is a folder of CTranslate2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maas.errors import ConfigError, one_line
from maas.importing.saved_models import generation_config, opening
from maas.importing.speech.ctranslate2_whisper import MODEL_FILE, read_whisper
from maas.importing.speech.speech_files import USUAL_LATEST, SpeechFiles
from maas.models.keyword_cnn import windowed_waves
from maas.onnx_graphs.attention import NamedWeights
from maas.onnx_graphs.whisper import BANDS, WAVES, WhisperShape
from maas.records.manifest import Transcription
from maas.runtime.places import holds, local_place
from maas.runtime.processors.spoken_text import HOP, RATE
from maas.runtime.translation.spectrograms import FRAME_SAMPLES

try:
    from transformers import (
        AutoConfig,
        AutoTokenizer,
        PreTrainedTokenizerBase,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )
except ImportError as error:
    raise ImportError("transformers is not installed. In a checkout of maas: pip install '.[huggingface]'") from error

_KIND = "a Whisper"


@dataclass(frozen=True)
class PretrainedWhisper:
    """A Whisper as transformers computes it.

    Args:
        model: in float32 and evaluation mode.
        settings: how it writes.
    """

    model: WhisperForConditionalGeneration
    settings: Transcription
    framework: ClassVar[str] = "torch"

    @cached_property
    def shape(self) -> WhisperShape:
        """The shape of the graphs."""
        found = self.model.config
        return WhisperShape(
            encoder_layers=found.encoder_layers,
            decoder_layers=found.decoder_layers,
            heads=found.decoder_attention_heads,
            head_size=found.d_model // found.decoder_attention_heads,
            vocabulary_size=found.vocab_size,
            frames=found.max_source_positions,
            mels=found.num_mel_bins,
        )

    @cached_property
    def weights(self) -> NamedWeights:
        """Weights, which share the model's memory, and those of the spectrogram."""
        state = {name: tensor.detach().numpy() for name, tensor in self.model.state_dict().items()}
        bands = np.ascontiguousarray(self._extractor.mel_filters.T, np.float32)
        return {**state, WAVES: windowed_waves(FRAME_SAMPLES)[:, None], BANDS: bands}

    @cached_property
    def _extractor(self) -> WhisperFeatureExtractor:
        found = self.model.config
        made: Any = WhisperFeatureExtractor
        return cast("WhisperFeatureExtractor", made(found.num_mel_bins, RATE, HOP, window_s(found), FRAME_SAMPLES))

    def spectrograms(self, samples: NDArray[np.float32]) -> Tensor:
        """Returns what transformers makes of windows, (N, T) → (N, M, frames)."""
        made = self._extractor(list(samples), sampling_rate=RATE, return_tensors="np")
        return torch.from_numpy(made["input_features"].astype(np.float32))

    def logits(self, samples: NDArray[np.float32], written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, (T, V).

        Args:
            samples: of one window.
            written: T tokens.
        """
        return self._logits(self.spectrograms(samples[None]), self.settings.prompt, written)

    def spectrogram(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns what transformers makes of a whole sound, filled up to a window at least, (M, frames)."""
        filled = np.pad(samples, (0, max(0, self.shape.samples - len(samples))))
        made = self._extractor(filled, sampling_rate=RATE, return_tensors="np", truncation=False, padding="longest")
        found: NDArray[np.float32] = made["input_features"][0]
        return found

    def logits_of_window(
        self, window: NDArray[np.float32], prompt: Sequence[int], written: Sequence[int]
    ) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, (T, V).

        Args:
            window: of a spectrogram, (M, 2S).
            prompt: tokens that come before.
            written: T tokens.
        """
        return self._logits(torch.from_numpy(window[None]), prompt, written)

    def _logits(self, heard: Tensor, prompt: Sequence[int], written: Sequence[int]) -> NDArray[np.float32]:
        tokens = torch.tensor([[*prompt, *written[:-1]]])
        with torch.inference_mode():
            found: Tensor = self.model(heard, decoder_input_ids=tokens).logits[0]
        return found[len(prompt) - 1 :].numpy()


def window_s(config: WhisperConfig) -> int:
    """Returns the seconds of a window; each frame of the encoder is two of the spectrogram."""
    return int(2 * config.max_source_positions * HOP // RATE)


def opened_whisper(place: str, language: str | None = None) -> PretrainedWhisper:
    """Opens a Whisper.

    Args:
        place: a folder of Hugging Face or of CTranslate2, `package:path` to one inside an installed package, or a hub
            id.
        language: that is spoken, such as `en`; None for a model of one language.

    Raises:
        ConfigError: there is no such model, or it is no Whisper that can be exported.
    """
    path = local_place(place)
    if holds(path, MODEL_FILE):
        found = read_whisper(cast("Path", path))
        model = untrained_whisper(found.config)
        try:
            model.load_state_dict({name: torch.from_numpy(np.array(one)) for name, one in found.weights.items()})
        except RuntimeError as error:
            raise ConfigError(f"{place} does not hold the weights of a Whisper: {one_line(error)}.") from error
        files = SpeechFiles(found.tokenizer, found.suppressed_tokens, found.suppressed_first)
    else:
        with opening(place, _KIND):
            model = _downloaded(place, path)
        files = speech_files_at(place)
    model.train(False)
    return PretrainedWhisper(model, files.settings(model.config, language, place))


def writes_down_speech(place: str) -> bool:
    """Returns whether a place holds a Whisper; what cannot be opened there holds none."""
    path = local_place(place)
    if holds(path, MODEL_FILE):
        return True
    if path is not None and path.is_file():
        return False
    try:
        with opening(place, _KIND):
            found = AutoConfig.from_pretrained(str(path or place), local_files_only=path is not None)
    except ConfigError:  # who opens the model says why
        return False
    return bool(found.model_type == "whisper")


def untrained_whisper(config: Mapping[str, Any]) -> WhisperForConditionalGeneration:
    """Returns a Whisper with random weights.

    Args:
        config: arguments of transformers' `WhisperConfig`.

    Raises:
        ConfigError: its windows are no whole seconds, or it has other heads where it reads.
    """
    found = _config_of(config)
    _require_plain("model.config", found)
    return WhisperForConditionalGeneration(found)


def config_at(place: str) -> WhisperConfig:
    """Returns the configuration of a Whisper, as of `opened_whisper`; of a folder of transformers, no weights are read.

    Raises:
        ConfigError: there is no such model, or it is no Whisper.
    """
    path = local_place(place)
    if holds(path, MODEL_FILE):
        return _config_of(read_whisper(cast("Path", path)).config)
    with opening(place, _KIND):
        found: WhisperConfig = AutoConfig.from_pretrained(str(path or place), local_files_only=path is not None)
    _require_plain(place, found)
    return found


def speech_files_at(place: str) -> SpeechFiles:
    """Returns what a Whisper brings beside its weights, as of `opened_whisper`.

    Raises:
        ConfigError: there is no such model, or it has no tokenizer of the Rust library.
    """
    path = local_place(place)
    if holds(path, MODEL_FILE):
        found = read_whisper(cast("Path", path))
        return SpeechFiles(found.tokenizer, found.suppressed_tokens, found.suppressed_first)
    is_local = path is not None
    with opening(place, _KIND):
        library = cast("type[PreTrainedTokenizerBase]", AutoTokenizer)
        tokenizer = library.from_pretrained(str(path or place), local_files_only=is_local)
        generation = generation_config(path or place)
    if not tokenizer.is_fast:
        raise ConfigError(f"{place} has no tokenizer.json, which texts are made with; save one with its tokenizer.")
    suppressed, first = (tuple(getattr(generation, name, None) or ()) for name in SUPPRESSED)
    return SpeechFiles(
        str(tokenizer.backend_tokenizer.to_str()),
        suppressed,
        first,
        getattr(generation, "is_multilingual", None),
        getattr(generation, "max_initial_timestamp_index", None) or USUAL_LATEST,
    )


SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")
"""Names in a configuration of generation."""


def _config_of(arguments: Mapping[str, Any]) -> WhisperConfig:
    made: Any = WhisperConfig
    return cast("WhisperConfig", made(**arguments))


def _downloaded(place: str, path: Path | None) -> WhisperForConditionalGeneration:
    """Returns the model in float32; one of another architecture is refused before its weights are read."""
    where = {"local_files_only": path is not None}
    _require_plain(place, AutoConfig.from_pretrained(str(path or place), **where))
    found: WhisperForConditionalGeneration = WhisperForConditionalGeneration.from_pretrained(
        str(path or place), dtype=torch.float32, **where
    )
    return found


def _require_plain(place: str, config: WhisperConfig) -> None:
    """Requires a Whisper that the graphs compute.

    Raises:
        ConfigError: it is another model, or a variant.
    """
    if config.model_type != "whisper":
        raise ConfigError(f"{place} is a model of type {config.model_type}; speech is written down by a Whisper.")
    if config.encoder_attention_heads != config.decoder_attention_heads or config.activation_function != "gelu":
        raise ConfigError(f"{place} is a variant of Whisper: other heads or another activation than its own.")
    if 2 * config.max_source_positions * HOP % RATE:
        raise ConfigError(f"{place} reads windows of {config.max_source_positions} frames, which are no whole seconds.")
