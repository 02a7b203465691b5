"""What a model that writes down speech brings along for its export."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from maas.onnx_graphs.attention import NamedWeights
from maas.onnx_graphs.whisper import WhisperShape
from maas.records.manifest import Transcription


class SpeechModel(Protocol):
    """A Whisper that gives the weights of its graphs, and the logits that the graphs must reproduce."""

    @property
    def framework(self) -> str:
        """What evidence and messages call it."""
        ...

    @property
    def shape(self) -> WhisperShape:
        """The shape of its graphs."""
        ...

    @property
    def weights(self) -> NamedWeights:
        """Its weights, by their names in transformers, and those of the spectrogram."""
        ...

    @property
    def settings(self) -> Transcription:
        """How it writes."""
        ...

    def logits(self, samples: NDArray[np.float32], written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, by its own framework, (T, V).

        Args:
            samples: of one window.
            written: T tokens.
        """
        ...

    def spectrogram(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns what its own framework makes of a whole sound, filled up to a window at least, (M, frames)."""
        ...

    def logits_of_window(
        self, window: NDArray[np.float32], prompt: Sequence[int], written: Sequence[int]
    ) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, by its own framework, (T, V).

        Args:
            window: of a spectrogram, (M, 2S).
            prompt: tokens that come before.
            written: T tokens.
        """
        ...


@runtime_checkable
class PretrainedSpeechNet(Protocol):
    """A net that writes down speech."""

    def speech_model(self) -> SpeechModel:
        """Returns what its bundle is made of."""
        ...
