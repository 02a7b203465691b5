"""A sequence-to-sequence net that a recipe trained, as its bundle needs it: its graphs' weights, its own logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maas.errors import ExportError
from maas.evidence.translation_metrics import translation_metrics
from maas.exporting.sequence_model import SequenceGraphs
from maas.models.seq2seq import Seq2Seq
from maas.onnx_graphs.attention import NamedWeights
from maas.onnx_graphs.translation import Seq2SeqConfig, encoder_graph, step_graph
from maas.records.evidence import Interval
from maas.records.manifest import Translation
from maas.runtime.codec import Features
from maas.runtime.postprocessors.translation import TranslationPostprocessor
from maas.runtime.processors.translated_text import TranslatedTextProcessor
from maas.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class TrainedTranslator:
    """The net of a checkpoint.

    Args:
        checkpoint: trained by a recipe whose task is `translation`.

    Raises:
        ExportError: its net or its processor is none that can be exported.
    """

    checkpoint: Checkpoint
    framework: ClassVar[str] = "torch"
    golden_rows: ClassVar[int] = 8

    def __post_init__(self) -> None:
        """Requires a net and a processor of maas."""
        record = self.checkpoint.record
        kind = record.processor.get("kind")
        if not isinstance(self.checkpoint.model(), Seq2Seq) or kind != TranslatedTextProcessor.kind:
            raise ExportError(
                f"{record.net.target} with a {kind} processor cannot be exported to translate; "
                f"maas.models.seq2seq.Seq2Seq with {TranslatedTextProcessor.kind} can."
            )

    @cached_property
    def net(self) -> Seq2Seq:
        """The net, in evaluation mode."""
        return cast("Seq2Seq", self.checkpoint.model())

    @cached_property
    def processor(self) -> TranslatedTextProcessor:
        """What it was trained with."""
        return cast("TranslatedTextProcessor", self.checkpoint.processor())

    @cached_property
    def config(self) -> Seq2SeqConfig:
        """The shape of the graphs."""
        net = self.net
        pairs = torch.arange(0, net.head_size, 2, dtype=torch.float32)
        return Seq2SeqConfig(
            encoder_layers=len(net.encoder),
            decoder_layers=len(net.decoder),
            heads=net.embedding.embedding_dim // net.head_size,
            head_size=net.head_size,
            vocabulary_size=net.embedding.num_embeddings,
            frequencies=(net.rotary_theta ** (-pairs / net.head_size)).numpy(),
            norm_epsilon=float(net.norm.eps or 0.0),
        )

    @cached_property
    def weights(self) -> NamedWeights:
        """Weights by their names in the net, whose memory they share."""
        return {name: tensor.detach().numpy() for name, tensor in self.net.state_dict().items()}

    @property
    def postprocessor(self) -> TranslationPostprocessor:
        """Gives texts as they are."""
        return TranslationPostprocessor()

    @property
    def settings(self) -> Translation:
        """The likeliest token at each step."""
        return Translation(end_token=self.processor.end, max_tokens=self.processor.max_tokens)

    def graphs(self, opset: int) -> SequenceGraphs:
        """Returns its graphs; the same opset gives the same bytes."""
        encode, decode = (make(self.config, self.weights, opset=opset) for make in (encoder_graph, step_graph))
        return SequenceGraphs(encode, decode, self.config.state)

    def parts(self, features: Features) -> list[Features]:
        """Returns all of a text."""
        return [features]

    def logits(self, part: Features, written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, (T, V).

        Args:
            part: tokens of the given text, (S,).
            written: T tokens of what is made of it.
        """
        source = torch.from_numpy(part[self.processor.feature])
        tokens = torch.tensor([[self.processor.end, *written[:-1]]])
        with torch.inference_mode():
            found: Tensor = self.net(source[None], tokens)[0]
        return found.numpy()

    def metrics(self, texts: Sequence[str], wanted: Sequence[str]) -> dict[str, Interval]:
        """Returns chrF, BLEU and exact matches."""
        return translation_metrics(texts, wanted)
