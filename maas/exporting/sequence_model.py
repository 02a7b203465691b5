"""What a model that writes a text of what it reads gives its bundle and its proof, whatever it reads."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from maas.records.evidence import Interval
from maas.records.manifest import Translation
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.postprocessors import Postprocessor
from maas.runtime.processors import Processor


class SequenceGraphs(NamedTuple):
    """The graphs of a model, and what is kept between steps.

    Args:
        encode: the one that reads.
        decode: the one that writes a token of each text.
        state: names, types and shapes of what is kept.
        hear: the one that makes a sound's spectrogram, where the one that reads does not.
    """

    encode: onnx.ModelProto
    decode: onnx.ModelProto
    state: tuple[TensorSpec, ...]
    hear: onnx.ModelProto | None = None


class SequenceModel(Protocol):
    """An encoder and a decoder with all that their bundle needs.

    `golden_rows` is how many rows are predicted again wherever it is opened.
    """

    golden_rows: ClassVar[int]

    @property
    def framework(self) -> str:
        """What evidence and messages call it."""
        ...

    @property
    def processor(self) -> Processor:
        """Reads rows, and makes texts of tokens."""
        ...

    @property
    def postprocessor(self) -> Postprocessor:
        """What is made of the outputs."""
        ...

    @property
    def settings(self) -> Translation:
        """How tokens are found."""
        ...

    def graphs(self, opset: int) -> SequenceGraphs:
        """Returns its graphs; the same opset gives the same bytes.

        Raises:
            ExportError: a weight is missing.
        """
        ...

    def parts(self, features: Features) -> list[Features]:
        """Returns what of a row is read by itself: all of a text, each window of a sound."""
        ...

    def logits(self, part: Features, written: Sequence[int]) -> NDArray[np.float32]:
        """Returns the logits before each token that is written, by its own framework, (T, V).

        Args:
            part: of a row.
            written: T tokens of what is made of it.
        """
        ...

    def metrics(self, texts: Sequence[str], wanted: Sequence[str]) -> Mapping[str, Interval]:
        """Returns how near texts are to those that were wanted."""
        ...
