"""The spectrogram of a sound of any length, as a Whisper reads it a window at a time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maas.runtime.graph import Graph
from maas.runtime.processors.spoken_text import HOP
from maas.runtime.translation.graphs import SAMPLES

SPECTROGRAM = "spectrogram"
"""Output of the graph, and input of the one that reads a window of it."""
FRAME_SAMPLES = 400
"""Samples that a frame sees, around its moment."""
RANGE = 8.0
"""Powers of ten below the largest energy of a sound that are kept."""
FRAMES_AT_ONCE = 3000
"""Bounds the memory of what is computed between samples and frames."""


class Spectrograms:
    """Log mel energies by a graph, in pieces.

    Args:
        model: ONNX file, as `maas.onnx_graphs.whisper.spectrogram_graph` makes it.
        threads: ONNX Runtime's intra-op threads.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        self._graph = Graph(model, threads)

    def of(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the frames of a sound, (M, T / `HOP`), as transformers makes them of the whole.

        They are log10 of mel energies, from `RANGE` below the largest one on, brought to about [−1, 1].

        Args:
            samples: (T,), at 16 kHz; more than 200.
        """
        frames = len(samples) // HOP
        around = np.pad(samples, FRAME_SAMPLES // 2, mode="reflect")
        logs = np.concatenate(
            [
                self._logs(around[start * HOP : (min(start + FRAMES_AT_ONCE, frames) - 1) * HOP + FRAME_SAMPLES])
                for start in range(0, frames, FRAMES_AT_ONCE)
            ],
            axis=1,
        )
        found: NDArray[np.float32] = (np.maximum(logs, logs.max() - np.float32(RANGE)) + np.float32(4)) / np.float32(4)
        return found

    def _logs(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._graph.run({SAMPLES: samples[None]})[SPECTROGRAM][0]
        return found
