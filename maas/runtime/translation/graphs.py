"""The two graphs of a model that makes a text of what it reads, and what is kept between their runs.

All texts that are written together have the same number of tokens, as each begins with the same one: no run needs
lengths, and no token is padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError
from maas.records.signature import NUMPY_TYPES, TensorSpec
from maas.runtime.codec import ModelInputs
from maas.runtime.generation.decoder import LOGITS, PAST, PRESENT
from maas.runtime.graph import Graph

SOURCE_TOKENS, SAMPLES, WRITTEN_TOKENS = "source", "samples", "tokens"
"""Inputs of the graphs: of one that reads texts, of one that reads sounds, and of those that write."""
MEMORY = "memory."
"""What the names of all outputs of the graph that reads begin with; the graph that writes takes them by these names."""

NamedTensors: TypeAlias = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Writing:
    """Texts that are written together, N of them.

    Args:
        memory: what was read, by the names of the graphs' tensors, (N, …) each.
        past: keys and values of the tokens so far, by the names of the state, (N, H, P, D / H) each.
    """

    memory: NamedTensors
    past: NamedTensors

    def picked(self, rows: NDArray[np.int64], *, is_same_text: bool = False) -> "Writing":
        """Returns the texts in these rows, which may come several times.

        Args:
            rows: int64 (M,).
            is_same_text: whether each row that is taken is of the text that it takes the place of.
        """
        past = {name: tensor[rows] for name, tensor in self.past.items()}
        return Writing(self.memory if is_same_text else {k: one[rows] for k, one in self.memory.items()}, past)


class TranslationGraphs:
    """A graph that reads and one that writes a token of each text, as `maas.onnx_graphs.translation` makes them.

    Args:
        encode: ONNX file of the one that reads.
        decode: ONNX file of the one that writes.
        state: tensors that are kept between steps.
        threads: ONNX Runtime's intra-op threads.

    Raises:
        BundleError: ONNX Runtime cannot load a file, or the graphs do not fit together.
    """

    def __init__(self, encode: Path, decode: Path, state: Sequence[TensorSpec], threads: int = 1) -> None:
        self.state = tuple(state)
        self._encoder, self._decoder = Graph(encode, threads), Graph(decode, threads)
        given = {one.name for one in self._encoder.session.get_outputs()}
        taken = {one.name for one in self._decoder.session.get_inputs()}
        kept = {PAST + spec.name for spec in self.state}
        if odd := sorted(taken ^ (given | kept | {WRITTEN_TOKENS})):
            raise BundleError(f"{encode} and {decode} do not fit together: {odd[0]}. Export the model again.")

    def read(self, given: ModelInputs) -> Writing:
        """Reads what texts are to be made of, of which nothing is written yet.

        Args:
            given: inputs of the graph that reads, (N, …) each.
        """
        past = {
            spec.name: np.zeros((count_of(given), spec.shape[1], 0, spec.shape[3]), NUMPY_TYPES[spec.datatype])
            for spec in self.state
        }
        return Writing(self._encoder.run(given), past)

    def step(self, progress: Writing, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float32], Writing]:
        """Returns the logits after one more token of each text, (N, V), and the texts with it.

        Args:
            progress: N texts.
            tokens: int64 (N,).
        """
        past = {PAST + name: tensor for name, tensor in progress.past.items()}
        found = self._decoder.run({WRITTEN_TOKENS: tokens[:, None], **progress.memory, **past})
        present = {spec.name: found[PRESENT + spec.name] for spec in self.state}
        return found[LOGITS], Writing(progress.memory, present)


def count_of(given: ModelInputs) -> int:
    """Returns N of inputs that are (N, …) each."""
    return len(next(iter(given.values())))
