"""A pretrained Whisper that a recipe takes as it comes, as its bundle needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError
from maas.evidence.transcript_metrics import transcript_metrics
from maas.exporting.sequence_model import SequenceGraphs
from maas.importing.speech.base import PretrainedSpeechNet, SpeechModel
from maas.onnx_graphs.whisper import speech_encoder_graph, speech_step_graph
from maas.records.evidence import Interval
from maas.records.manifest import Transcription
from maas.runtime.codec import Features
from maas.runtime.postprocessors.translation import SPOKEN_TEXT, TranslationPostprocessor
from maas.runtime.processors.spoken_text import SpokenTextProcessor
from maas.runtime.translation.graphs import SAMPLES
from maas.runtime.translation.translator import Transcriber, Translator
from maas.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class TrainedTranscriber:
    """The net of a checkpoint.

    Args:
        checkpoint: of a recipe whose task is `speech_to_text`.

    Raises:
        ExportError: its net or its processor is none that can be exported.
    """

    checkpoint: Checkpoint
    translator: ClassVar[type[Translator]] = Transcriber
    golden_rows: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Requires a net that writes down speech, with its own processor."""
        record = self.checkpoint.record
        kind = record.processor.get("kind")
        if not isinstance(self._net, PretrainedSpeechNet) or kind != SpokenTextProcessor.kind:
            raise ExportError(
                f"{record.net.target} with a {kind} processor cannot be exported to write down speech; "
                f"maas.importing.speech.net.WhisperNet with {SpokenTextProcessor.kind} can."
            )

    @cached_property
    def _net(self) -> object:
        return self.checkpoint.model()

    @cached_property
    def _model(self) -> SpeechModel:
        return cast("PretrainedSpeechNet", self._net).speech_model()

    @property
    def framework(self) -> str:
        """What computed the net."""
        return self._model.framework

    @cached_property
    def processor(self) -> SpokenTextProcessor:
        """The net's own."""
        return cast("SpokenTextProcessor", self.checkpoint.processor())

    @property
    def postprocessor(self) -> TranslationPostprocessor:
        """Gives texts as they are."""
        return TranslationPostprocessor(SPOKEN_TEXT)

    @property
    def settings(self) -> Transcription:
        """What it begins with, and what it never writes."""
        return self._model.settings

    def graphs(self, opset: int) -> SequenceGraphs:
        """Returns its graphs; the same opset gives the same bytes."""
        shape, weights = self._model.shape, self._model.weights
        encode, decode = (make(shape, weights, opset=opset) for make in (speech_encoder_graph, speech_step_graph))
        return SequenceGraphs(encode, decode, shape.state)

    def parts(self, features: Features) -> list[Features]:
        """Returns the windows of a sound, (T,) each."""
        return [{SAMPLES: window} for window in features[SAMPLES]]

    def logits(self, part: Features, written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, (T, V).

        Args:
            part: a window.
            written: T tokens.
        """
        return self._model.logits(part[SAMPLES], written)

    def metrics(self, texts: Sequence[str], wanted: Sequence[str]) -> dict[str, Interval]:
        """Returns error rates of transcripts."""
        return transcript_metrics(texts, wanted)
