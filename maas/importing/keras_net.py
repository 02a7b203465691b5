"""Nets of Keras 3, run and exported by torch."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.bounds import Count, NonNegativeCount
from maas.data.splits import Splits
from maas.errors import ConfigError, one_line
from maas.importing.base import ImportedModel, library_errors, needed
from maas.importing.keras_graph import KERAS_OUTPUT, KerasModel, exported_keras, quiet_keras
from maas.importing.keras_inputs import connected_inputs, given_to_keras
from maas.importing.meaning import Gives, Meaning, meaning_of, require_scores
from maas.importing.writing import write_adopted
from maas.onnx_graphs.building import GraphBuilder
from maas.onnx_graphs.reading import Axes
from maas.runtime.codec import ModelInputs
from maas.runtime.processors import Processor

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it once, when whoever is first imports it

MODEL, RECORD = "model.keras", "source.json"
FOUR_BITS = ("int4", "gptq", "awq")
"""Ways of Keras to quantise weights to four bits."""
BACKEND = "torch"
LOSSES: Mapping[str, Callable[[ModuleType], object]] = {
    "probabilities": lambda losses: losses.SparseCategoricalCrossentropy(),
    "logits": lambda losses: losses.SparseCategoricalCrossentropy(from_logits=True),
    "probability": lambda losses: losses.BinaryCrossentropy(),
    "logit": lambda losses: losses.BinaryCrossentropy(from_logits=True),
    "value": lambda losses: losses.MeanSquaredError(),
}
"""What a net that comes without a loss learns by; with Adam."""


class KerasNet(ImportedModel):
    """Answers by Keras' own `predict_on_batch`; exported by torch's exporter, as the net is a torch module here.

    Keras' own `export(format="onnx")` is not used: it goes through TorchScript, which knows neither LayerNormalization
    nor attention and writes three times as many nodes.

    A net of one input is given the processor's one model input, whatever it is called; one of several is given model
    inputs of its inputs' names, else of their shapes.

    Args:
        model: the path of a `.keras` file; or a function without arguments that returns a model, such as a part with
            `_partial_: true`; or a model.
        gives: kind of the output's numbers: `probabilities`, `logits`, `probability` or `logit` (of the second of two
            labels), `value` or `embedding`.
        labels: names in the order of the output; null if it is that of the data.
        epochs: epochs of training by Keras on the training split; 0 takes the net as it comes.
        batch_size: rows in a training step.
        seed: random seed of the weights that the function draws, and of the training.
        inputs: model input → input of the net, where neither names nor shapes decide; null where they do.
        meaning: meaning of its output; set by `fit`.
    """

    framework: ClassVar[str] = "Keras"

    def __init__(
        self,
        model: object,
        gives: Gives = "probabilities",
        labels: Sequence[str] | None = None,
        epochs: NonNegativeCount = 0,
        batch_size: Count = 32,
        seed: NonNegativeCount = 0,
        inputs: Mapping[str, str] | None = None,
        *,
        meaning: Meaning | None = None,
    ) -> None:
        self.model = model
        self.gives = gives
        self.labels = labels
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed
        self.inputs = inputs
        self.meaning = meaning

    def fit(self, splits: Splits, processor: Processor) -> Self:
        """Returns a net that knows the data's labels, trained where epochs are set."""
        _require_exportable(self.net)
        meaning = meaning_of(self.gives, self.labels, splits)
        met = type(self)(self.net, self.gives, self.labels, inputs=self.inputs, meaning=meaning)
        first = processor.batch(processor.preprocess(splits.train.inputs[:1]))
        require_scores(met.outputs(first), self.gives, splits)
        if self.epochs:
            self._train(processor.batch(processor.preprocess(splits.train.inputs)), splits, meaning)
        return met

    def outputs(self, model_inputs: ModelInputs) -> NDArray[np.float32]:
        """Returns what Keras predicts."""
        given = self._given(model_inputs)
        with quiet_keras():
            try:
                return self._known.scores(np.asarray(self.net.predict_on_batch(given)))
            except (
                ValueError,
                TypeError,
                RuntimeError,
                KeyError,
            ) as error:  # what Keras and torch raise of wrong inputs
                shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in model_inputs.items())
                raise ConfigError(f"The Keras net does not take {shapes}: {one_line(error)}.") from error

    def write_onnx(self, out: Path, *, examples: ModelInputs, axes: Axes, output: str, opset: int) -> None:
        """Writes what torch's exporter makes of the net."""
        write_adopted(
            exported_keras(self.net, examples, axes, opset, connected_inputs(self.net, examples, self.inputs)),
            out,
            before=GraphBuilder("model_inputs"),
            connected={model_input: model_input for model_input in examples},
            result=KERAS_OUTPUT,
            meaning=self._known,
            examples=examples,
            axes=axes,
            output=output,
            opset=opset,
        )

    def save(self, folder: Path) -> None:
        """Writes the net as Keras does, and the meaning of its output."""
        with quiet_keras():
            self.net.save(folder / MODEL)
        (folder / RECORD).write_bytes(msgspec.json.encode(self._known))

    @classmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote."""
        meaning = msgspec.json.decode((folder / RECORD).read_bytes(), type=Meaning)
        return cls(str(folder / MODEL), meaning.gives, inputs=arguments.get("inputs"), meaning=meaning)

    @cached_property
    def net(self) -> KerasModel:
        """The Keras model."""
        keras = keras_on_torch()
        with quiet_keras():
            if isinstance(self.model, str | Path):
                net: object = open_keras(keras, Path(self.model))
            elif callable(self.model) and not isinstance(self.model, keras.Model):
                keras.utils.set_random_seed(self.seed)
                net = self.model()
            else:
                net = self.model
        if not isinstance(net, keras.Model):
            raise ConfigError(
                f"model.model gives a {type(net).__name__}; it must be the path of a .keras file, or a part with "
                "_partial_: true that returns a keras.Model."
            )
        return cast("KerasModel", net)

    @property
    def has_tails(self) -> bool:
        """Where the net gives logits."""
        return self._known.has_tails

    @property
    def _known(self) -> Meaning:
        if self.meaning is None:
            raise ConfigError("The Keras net has not met the data yet. Call fit first.")
        return self.meaning

    def _given(self, model_inputs: ModelInputs) -> object:
        return given_to_keras(model_inputs, connected_inputs(self.net, model_inputs, self.inputs))

    def _train(self, model_inputs: ModelInputs, splits: Splits, meaning: Meaning) -> None:
        """Trains the net in place; targets are positions among its own labels."""
        if splits.train.targets is None or self.gives not in LOSSES:
            raise ConfigError(f"model.epochs is {self.epochs}, and rows have no targets to learn. Set model.epochs=0.")
        keras = keras_on_torch()
        keras.utils.set_random_seed(self.seed)
        targets = np.array(meaning.order)[splits.train.targets] if meaning.order else splits.train.targets
        with quiet_keras():
            if not self.net.compiled:
                self.net.compile("adam", LOSSES[self.gives](keras.losses))
            self.net.fit(self._given(model_inputs), targets, batch_size=self.batch_size, epochs=self.epochs, verbose=0)


def open_keras(keras: ModuleType, path: Path) -> KerasModel:
    """Opens a `.keras` file; code inside it is not run.

    Raises:
        ConfigError: it is of another format, or Keras cannot open it.
    """
    if path.suffix != ".keras":
        raise ConfigError(f"{path} is no .keras file. Save the net by model.save('NAME.keras') of Keras 3.")
    with library_errors(f"{path} cannot be opened by Keras"):
        net: KerasModel = keras.saving.load_model(path, safe_mode=True)
    return net


def _require_exportable(net: KerasModel) -> None:
    """Checks that no layer holds weights of four bits, which Keras unpacks by operators that ONNX does not have.

    Raises:
        ConfigError: one does.
    """
    for layer in net._flatten_layers(include_self=False):  # type: ignore[attr-defined]  # noqa: SLF001
        mode = getattr(layer, "quantization_mode", None)
        if mode in FOUR_BITS:
            raise ConfigError(
                f"The layer {layer.name} of the Keras net is quantised to {mode}, which cannot be exported. Take the "
                "net as it was before model.quantize, and let compress make it smaller."
            )


def keras_on_torch() -> ModuleType:
    """Imports Keras.

    Raises:
        ConfigError: it is not installed, or runs on another backend.
    """
    keras = needed("keras")
    if keras.backend.backend() != BACKEND:
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()} here, and torch is needed. Set KERAS_BACKEND=torch in the "
            "environment."
        )
    return keras
