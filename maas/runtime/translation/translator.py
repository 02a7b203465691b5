"""What a bundle that translates runs in the place of one graph: tokens of texts in, texts out."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, InputError, one_line
from maas.records.manifest import Manifest, Translation
from maas.runtime.bundle_files import DECODE, ENCODE
from maas.runtime.codec import ModelInputs, Outputs
from maas.runtime.postprocessors.translation import LOG_PROBABILITY, TRANSLATED_TEXT
from maas.runtime.processors import Processor
from maas.runtime.translation.graphs import SOURCE_TOKENS, TranslationGraphs
from maas.runtime.translation.search import Hypothesis, best_texts

CHANGEABLE = ("num_beams", "length_penalty", "max_tokens")
"""Settings that a caller may choose."""


class Translator:
    """The graphs of a model, what reads its texts, and how it searches.

    Args:
        graphs: of the model.
        processor: makes texts of tokens.
        settings: of the search.
    """

    def __init__(self, graphs: TranslationGraphs, processor: Processor, settings: Translation) -> None:
        self.graphs = graphs
        self.settings = settings
        self._processor = processor
        if not hasattr(processor, "text_of"):
            raise BundleError(f"The {processor.kind} processor makes no texts of tokens. Export the model again.")
        self._text_of: Callable[[Sequence[int]], str] = processor.text_of

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, processor: Processor, threads: int | None = None) -> "Translator":
        """Opens the graphs of a bundle.

        Args:
            folder: folder of the bundle.
            manifest: what it holds.
            processor: of the bundle.
            threads: intra-op threads instead of the manifest's.

        Raises:
            BundleError: a graph cannot be loaded, or they do not fit together.
        """
        encode, decode = (folder / manifest.graphs[role] for role in (ENCODE, DECODE))
        graphs = TranslationGraphs(encode, decode, manifest.state, threads or manifest.serving.threads)
        return cls(graphs, processor, cast("Translation", manifest.translation))

    def changed(self, settings: Mapping[str, object]) -> "Translator":
        """Returns the same with other settings.

        Args:
            settings: `num_beams`, `length_penalty` and `max_tokens`, or some of them.

        Raises:
            InputError: one is unknown, or has no value that it may have.
        """
        if unknown := sorted(settings.keys() - set(CHANGEABLE)):
            raise InputError(f"The model has no setting {unknown[0]}; it has {', '.join(CHANGEABLE)}.")
        try:
            found = msgspec.convert({**msgspec.to_builtins(self.settings), **settings}, Translation)
        except msgspec.ValidationError as error:
            shown = reprlib.repr(dict(settings))
            raise InputError(f"The model cannot translate with {shown}: {one_line(error)}.") from error
        return Translator(self.graphs, self._processor, found)

    def hypotheses(self, source: NDArray[np.int64]) -> list[Hypothesis]:
        """Returns the tokens that are written for each of some texts, int64 (N, S)."""
        return best_texts(self.graphs, source, self.settings)

    def run(self, model_inputs: ModelInputs) -> Outputs:
        """Returns `translation`, texts (N,), and `log_probability`, float32 (N,), of a batch."""
        found = self.hypotheses(model_inputs[SOURCE_TOKENS])
        texts = np.empty(len(found), dtype=object)
        texts[:] = [self._text_of(one.tokens) for one in found]
        sums = np.array([one.log_probability for one in found], np.float32)
        return {LOG_PROBABILITY: sums, TRANSLATED_TEXT: texts}
