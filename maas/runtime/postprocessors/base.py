"""What every kind of prediction can do, and how a bundle's kind is found."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, one_line
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.runtime.kinds import class_of, require_settings, settings_of_kind


class Postprocessor(ABC):
    """Turns the graph's outputs into predictions for people and tensors for machines.

    `output` is the name of the graph's output that holds the model's plain numbers. `labels` are the names of a row's
    scores, in their order; there is none where scores have no names. `thresholds` are what scores must reach, where
    labels are predicted by thresholds.
    """

    kind: ClassVar[str]
    output: ClassVar[str]
    labels: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    @abstractmethod
    def predictions(self, outputs: Outputs) -> list[dict[str, Any]]:
        """Returns one JSON-ready prediction a row."""

    @abstractmethod
    def tensors(self, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Returns the tensors that `specs` describe."""

    @abstractmethod
    def scores(self, outputs: Outputs) -> NDArray[Any]:
        """Returns the plain numbers of the model, (N, K)."""

    def scale(self, scores: NDArray[Any]) -> float:
        """Returns what a tolerance for differences between scores is to be multiplied by.

        It is 1 for numbers between −1 and 1, such as probabilities; values have a unit, and so have their differences.

        Args:
            scores: (N, K), those that others are compared with.
        """
        return 1.0

    def tolerated(self, golden: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
        """Returns by how much scores may differ from golden ones, (N, K).

        Args:
            golden: scores that were made on another machine, (N, K).
            tolerance: the largest difference allowed of a number between −1 and 1, such as a probability.
        """
        return np.full(golden.shape, tolerance)

    def ties(self, golden: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Returns for which rows two names are so close that they may have changed places, (N,).

        Args:
            golden: scores that were made on another machine, (N, K).
            allowed: by how much they may differ, (N, K).
        """
        two = np.sort(golden, axis=1)[:, -2:]
        is_close: NDArray[np.bool_] = two[:, -1] - two[:, 0] <= 2 * allowed.max(axis=1)
        return is_close if two.shape[1] == 2 else np.zeros(len(two), dtype=bool)

    def task_of(self, modality: str) -> str:
        """Returns the name of the task that gives such predictions for a kind of input, e.g. `text-classification`."""
        return f"{modality}-{self.kind}"

    @property
    @abstractmethod
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors that a caller receives."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Returns what a manifest says of this postprocessor: its kind and its settings."""


def postprocessor_class(kind: object) -> type[Postprocessor]:
    """Returns the class of a kind of postprocessor.

    Raises:
        BundleError: no postprocessor of that kind is installed.
    """
    return class_of(kind, Postprocessor, "postprocessor")


def load_postprocessor(record: Mapping[str, Any]) -> Postprocessor:
    """Rebuilds the postprocessor that a manifest describes.

    Raises:
        BundleError: no postprocessor of that kind is installed, or it does not take these settings.
    """
    made, settings = postprocessor_class(record.get("kind")), settings_of_kind(record)
    require_settings(settings, made, f"{record['kind']} postprocessor")
    try:
        return made(**settings)
    except (TypeError, ValueError) as error:
        raise BundleError(f"The {record['kind']} postprocessor cannot be made: {one_line(error)}.") from error
