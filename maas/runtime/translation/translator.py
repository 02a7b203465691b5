"""What a bundle that translates or writes down speech runs in the place of one graph: tokens or samples to texts."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, cast

import msgspec
import numpy as np
from msgspec.structs import replace

from maas.errors import BundleError, InputError, one_line
from maas.records.manifest import Manifest, Translation
from maas.runtime.bundle_files import DECODE, ENCODE
from maas.runtime.codec import IsWanted, ModelInputs, Outputs, always_wanted
from maas.runtime.model import parts_of_size
from maas.runtime.postprocessors.translation import LOG_PROBABILITY, SPOKEN_TEXT, TRANSLATED_TEXT
from maas.runtime.processors import Processor
from maas.runtime.searched_rows import BEAMS
from maas.runtime.translation.graphs import SAMPLES, TranslationGraphs, count_of
from maas.runtime.translation.search import Hypothesis, best_texts

CHANGEABLE = ("num_beams", "length_penalty", "max_tokens")
"""Settings that a caller may choose."""
HEARD_AT_ONCE = 4
"""Of all sounds of a batch, windows; those that are followed by several beams count as many times."""


class Translator:
    """The graphs of a model, what reads its texts, and how it searches.

    Args:
        graphs: of the model.
        processor: makes texts of tokens.
        settings: of the search.
    """

    text: ClassVar[str] = TRANSLATED_TEXT
    """Name of the output that is a text."""

    def __init__(self, graphs: TranslationGraphs, processor: Processor, settings: Translation) -> None:
        self.graphs = graphs
        self.settings = settings
        self._processor = processor
        if not hasattr(processor, "text_of"):
            raise BundleError(f"The {processor.kind} processor makes no texts of tokens. Export the model again.")
        self.text_of: Callable[[Sequence[int]], str] = processor.text_of

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, processor: Processor, threads: int | None = None) -> Self:
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
        return cls(graphs, processor, cast("Translation", manifest.search))

    def changed(self, settings: Mapping[str, object]) -> Self:
        """Returns the same with other settings.

        Args:
            settings: `num_beams`, `length_penalty` and `max_tokens`, or some of them.

        Raises:
            InputError: one is unknown, or has no value that it may have.
        """
        return type(self)(self.graphs, self._processor, self._changed(settings))

    def _changed(self, settings: Mapping[str, object]) -> Translation:
        if unknown := sorted(settings.keys() - set(CHANGEABLE)):
            raise InputError(f"The model has no setting {unknown[0]}; it has {', '.join(CHANGEABLE)}.")
        try:
            return msgspec.convert({**msgspec.to_builtins(self.settings), **settings}, type(self.settings))
        except msgspec.ValidationError as error:
            shown = reprlib.repr(dict(settings))
            raise InputError(f"The model cannot write with {shown}: {one_line(error)}.") from error

    def with_graphs(self, graphs: TranslationGraphs) -> Self:
        """Returns the same with other graphs of the same state."""
        return type(self)(graphs, self._processor, self.settings)

    def first_reading(self, model_inputs: ModelInputs) -> ModelInputs:
        """Returns what the graph reads first of a batch."""
        return {name: array for name, array in self.readings(model_inputs)[0].items() if name != BEAMS}

    def readings(self, model_inputs: ModelInputs) -> list[ModelInputs]:
        """Returns what is read of a batch of N rows, as much as the graph reads at once, (M, …) each.

        What is written of each is a text, or a part of one: all M together are a multiple of N.
        """
        return [model_inputs]

    def hypotheses(self, given: ModelInputs, is_wanted: IsWanted = always_wanted) -> list[Hypothesis]:
        """Returns the tokens that are written for each of one of the `readings`.

        Args:
            given: what is read, and maybe how many beams each row wants.
            is_wanted: whether what is written of a row is; of others it ends.
        """
        wanted = given.get(BEAMS, np.zeros(count_of(given), np.int64)).tolist()
        settings = [replace(self.settings, num_beams=beams) if beams else self.settings for beams in wanted]
        read = {name: array for name, array in given.items() if name != BEAMS}
        return best_texts(self.graphs, read, settings, is_wanted)

    def texts(self, found: Sequence[Hypothesis], count: int) -> list[str]:
        """Returns the texts of N rows.

        Args:
            found: what `hypotheses` returned for all readings of a batch.
            count: N.
        """
        return [self.text_of(one.tokens) for one in found]

    def run(self, model_inputs: ModelInputs) -> Outputs:
        """Returns texts (N,) and `log_probability`, float32 (N,), of a batch."""
        return self.run_wanted(model_inputs, always_wanted)

    def run_wanted(self, model_inputs: ModelInputs, is_wanted: IsWanted) -> Outputs:
        """Returns the same; where a row's text is not wanted any more, it ends after the step that runs."""
        count, found = count_of(model_inputs), list[Hypothesis]()
        readings = self.readings(model_inputs)
        width = sum(map(count_of, readings)) // count
        for given in readings:
            rows = [(len(found) + part) // width for part in range(count_of(given))]
            found += self.hypotheses(given, partial(_is_part_wanted, is_wanted, rows))
        texts = np.empty(count, dtype=object)
        texts[:] = self.texts(found, count)
        sums = np.array([one.log_probability for one in found], np.float64).reshape(count, -1).sum(axis=1)
        return {LOG_PROBABILITY: sums.astype(np.float32), self.text: texts}


class Transcriber(Translator):
    """A translator of sounds: each window is written down by itself, and the texts are joined.

    Few windows are read at once, as attention over all of a window's frames takes much memory.
    """

    text: ClassVar[str] = SPOKEN_TEXT

    def readings(self, model_inputs: ModelInputs) -> list[ModelInputs]:
        """Returns the windows of all sounds, (N, W, T) → at most `HEARD_AT_ONCE` of (T,) in each."""
        sounds = model_inputs[SAMPLES]
        windows = sounds.reshape(-1, sounds.shape[-1])
        wanted = {name: one.repeat(sounds.shape[1]) for name, one in model_inputs.items() if name == BEAMS}
        beams = wanted.get(BEAMS, np.zeros(len(windows), np.int64))
        sizes = np.where(beams, beams, self.settings.num_beams).tolist()
        together = {SAMPLES: windows, **wanted}
        return [{name: array[part] for name, array in together.items()} for part in parts_of_size(sizes, HEARD_AT_ONCE)]

    def texts(self, found: Sequence[Hypothesis], count: int) -> list[str]:
        """Returns the texts of N sounds; arguments as of `Translator`."""
        texts, width = super().texts(found, len(found)), len(found) // count
        return ["".join(texts[start : start + width]).strip() for start in range(0, len(texts), width)]


def _is_part_wanted(is_wanted: IsWanted, rows: Sequence[int], part: int) -> bool:
    return is_wanted(rows[part])
