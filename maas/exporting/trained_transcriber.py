"""A pretrained Whisper that is taken as it comes, as its bundle needs it: by a recipe, or from its place alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError
from maas.evidence.transcript_metrics import transcript_metrics
from maas.exporting.sequence_model import SequenceGraphs
from maas.importing.speech.base import PretrainedSpeechNet, SpeechModel
from maas.onnx_graphs.whisper import spectrogram_graph, speech_encoder_graph, speech_step_graph
from maas.records.evidence import Interval
from maas.records.manifest import TimedTranscription, Transcription
from maas.runtime.codec import Features
from maas.runtime.postprocessors.translation import SPOKEN_TEXT, TranslationPostprocessor
from maas.runtime.processors.spoken_text import SpokenTextProcessor
from maas.runtime.translation.graphs import SAMPLES
from maas.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class SpeechTranscriber:
    """A Whisper, wherever it comes from.

    Args:
        speech: the net.
        processor: its own.
    """

    speech: SpeechModel
    processor: SpokenTextProcessor
    golden_rows: ClassVar[int] = 2

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """Returns the net of a checkpoint.

        Args:
            checkpoint: of a recipe whose task is `speech_to_text`.

        Raises:
            ExportError: its net or its processor is none that can be exported.
        """
        record, net = checkpoint.record, checkpoint.model()
        kind = record.processor.get("kind")
        if not isinstance(net, PretrainedSpeechNet) or kind != SpokenTextProcessor.kind:
            raise ExportError(
                f"{record.net.target} with a {kind} processor cannot be exported to write down speech; "
                f"maas.importing.speech.net.WhisperNet with {SpokenTextProcessor.kind} can."
            )
        return cls(net.speech_model(), cast("SpokenTextProcessor", checkpoint.processor()))

    @property
    def framework(self) -> str:
        """What computed the net."""
        return self.speech.framework

    @property
    def postprocessor(self) -> TranslationPostprocessor:
        """Gives texts as they are."""
        return TranslationPostprocessor(SPOKEN_TEXT, has_times=isinstance(self.speech.settings, TimedTranscription))

    @property
    def settings(self) -> Transcription:
        """What it begins with, and what it never writes."""
        return self.speech.settings

    def graphs(self, opset: int) -> SequenceGraphs:
        """Returns its graphs; the same opset gives the same bytes."""
        shape, weights = self.speech.shape, self.speech.weights
        timed = isinstance(self.speech.settings, TimedTranscription)
        return SequenceGraphs(
            speech_encoder_graph(shape, weights, opset=opset, takes_samples=not timed),
            speech_step_graph(shape, weights, opset=opset),
            shape.state,
            spectrogram_graph(shape, weights, opset=opset) if timed else None,
        )

    def parts(self, features: Features) -> list[Features]:
        """Returns the windows of a sound, (T,) each."""
        return [{SAMPLES: window} for window in features[SAMPLES]]

    def logits(self, part: Features, written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, (T, V).

        Args:
            part: a window.
            written: T tokens.
        """
        return self.speech.logits(part[SAMPLES], written)

    def metrics(self, texts: Sequence[str], wanted: Sequence[str]) -> dict[str, Interval]:
        """Returns error rates of transcripts."""
        return transcript_metrics(texts, wanted)
