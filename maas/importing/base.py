"""What an imported model can do, and packages that only some kinds of them need."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from maas.data.splits import Splits
from maas.errors import ConfigError, one_line
from maas.runtime.processors import Processor

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


class ImportedModel(ABC):
    """A model of another framework: it answers by that framework, and writes itself as ONNX.

    A recipe names one as its `model`; the line then has five questions for it, in this order. `fit` shows it the data
    once, `save` and `load` carry it in a checkpoint, `outputs` is the reference that its graph is proven against, and
    `write_onnx` makes that graph, in a process of its own.

    `outputs` and the graph speak in the terms of the prediction: probabilities, float32 (N, K) in the order of
    `splits.labels`, where targets are labels; values, float32 (N,), where they are numbers; vectors, float32 (N, D),
    where there are none. `framework` is what messages and the evidence call it.
    """

    framework: ClassVar[str]
    computes_in_double: ClassVar[bool] = False
    """Whether it takes numbers of float64, and its graph computes with them."""

    @property
    def has_tails(self) -> bool:
        """Whether maas draws probabilities from logits, so that the graph keeps those near 0.

        What another library's converter drew may lose them, and is compared by the probabilities alone.
        """
        return False

    @property
    def largest(self) -> float:
        """The largest number that it still distinguishes from others, up to float32's; the proof holds rows of it."""
        return LARGEST_FLOAT32

    @abstractmethod
    def fit(self, splits: Splits, processor: Processor) -> Self:
        """Returns a model that knows the data's labels and has learnt, if it has anything to learn.

        Args:
            splits: only the training split may be read.
            processor: fitted; gives the model inputs of rows by `preprocess` and `batch`.

        Raises:
            ConfigError: it does not take these model inputs, or does not answer with these labels.
        """

    @abstractmethod
    def outputs(self, model_inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Returns the framework's own outputs for a processor's model inputs, in the terms of the graph's output.

        Args:
            model_inputs: by name, the batch first; of any number of rows.
        """

    def thresholds(self, model_inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, Mapping[int, Sequence[float]]]:
        """Returns at which numbers the scores jump, so that rows of them are part of the proof.

        Args:
            model_inputs: a few rows.

        Returns:
            Feed → column → numbers; none where it does not jump, or is not known to.
        """
        return {}

    @abstractmethod
    def write_onnx(
        self,
        out: Path,
        *,
        examples: Mapping[str, NDArray[Any]],
        axes: Mapping[str, Mapping[int, str]],
        output: str,
        opset: int,
    ) -> None:
        """Writes one ONNX file; the same bytes on every run.

        Args:
            out: the file to write.
            examples: model inputs of 2 or more real rows; the graph has inputs of these names, types and shapes.
            axes: those that may have any size: model input → axis → name.
            output: the name of the graph's only output.
            opset: the version of ONNX's operators to write; a model that comes with a newer one keeps it.

        Raises:
            ExportError: it cannot be written.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes all that `load` needs to `folder`, an empty folder; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote; what `fit` was given or learnt is there again.

        Args:
            arguments: of the recipe's `model`; files that they name may be gone.
            folder: where it was saved.
        """


def needed(module: str, extra: str = "import") -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: import path.
        extra: extra of maas that brings the package.

    Raises:
        ConfigError: the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigError(
            f"This model needs the package {package}, which is not installed. In a checkout of maas: "
            f"pip install '.[{extra}]'"
        ) from error


@contextmanager
def library_errors(failed: str) -> Iterator[None]:
    """Makes a ConfigError of whatever another library raises when it opens or saves an object of its own.

    Args:
        failed: action that fails, for the message.

    Raises:
        ConfigError: it fails.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # of archives, JSON, HDF5, absent classes, a type's own state: there is no base
        raise ConfigError(f"{failed}: {one_line(error)}.") from error
