"""A plain ONNX file, whoever made it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from maas.bounds import ExistingPath
from maas.data.splits import Splits
from maas.errors import ConfigError, ExportError, one_line
from maas.importing.base import ImportedModel
from maas.importing.meaning import Gives, Meaning, meaning_of, require_scores
from maas.importing.pixels import PixelScaling
from maas.importing.writing import write_adopted
from maas.onnx_graphs.building import GraphBuilder, with_free_batch
from maas.onnx_graphs.files import read_graph, write_whole
from maas.onnx_graphs.opsets import modern
from maas.onnx_graphs.reading import Axes, numeric_outputs, real_inputs
from maas.onnx_graphs.running import output_numbers, why_not_opened
from maas.runtime.codec import ModelInputs
from maas.runtime.graph import ORT_ERRORS, session_options
from maas.runtime.processors import Processor

MODEL, RECORD = "model.onnx", "source.json"
LARGEST_CHANGE = 1e-4
"""How much a number between 0 and 1 may change when a file made for one size of batch is given another."""


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a file once it has met the data.

    Args:
        meaning: meaning of its result.
        connected: model input → input of the file.
        result: the output of the file that counts.
        pixels: scaling of the model input; None for none.
    """

    meaning: Meaning
    connected: dict[str, str]
    result: str
    pixels: PixelScaling | None


class OnnxFile(ImportedModel):
    """Answers as ONNX Runtime does with the file as it was given; files beside it that hold its weights are joined.

    Its inputs may be of any type of number; ours are cast. An opset below 13 is converted, a newer one kept. An axis
    of the batch that was fixed is freed where the graph allows it.

    Args:
        path: the file.
        gives: kind of the output's numbers: `probabilities`, `logits`, `probability` or `logit` (of the second of two
            labels), `value` or `embedding`.
        labels: names in the order of the output; null if it is that of the data.
        inputs: model input → input of the file; null where there is one of each, or where both have the same names.
        output: the output that counts; null for the only one of floating-point numbers.
        pixels: a part that scales and turns pictures as the file takes them; null for model inputs as they are.
        record: result of `fit`.
    """

    framework: ClassVar[str] = "ONNX file"

    def __init__(
        self,
        path: ExistingPath,
        gives: Gives = "probabilities",
        labels: Sequence[str] | None = None,
        inputs: Mapping[str, str] | None = None,
        output: str | None = None,
        pixels: PixelScaling | None = None,
        *,
        record: FileRecord | None = None,
    ) -> None:
        self.path = Path(path)
        self.gives = gives
        self.labels = labels
        self.inputs = inputs
        self.output = output
        self.pixels = pixels
        self.record = record

    def fit(self, splits: Splits, processor: Processor) -> Self:
        """Returns a model that knows which input is which model input, and which output which label."""
        model_inputs = processor.batch(processor.preprocess(splits.train.inputs[:1]))
        meaning = meaning_of(self.gives, self.labels, splits)
        record = FileRecord(meaning, self._connected(list(model_inputs)), self._result(), self.pixels)
        met = type(self)(str(self.path), record=record)
        require_scores(met.outputs(model_inputs), self.gives, splits)
        return met

    def outputs(self, model_inputs: ModelInputs) -> NDArray[np.float32]:
        """Returns what ONNX Runtime predicts, batch by batch where the file takes batches of one size only."""
        record, rows = self._known, len(next(iter(model_inputs.values())))
        size = self._batch or rows
        found = []
        for start in range(0, rows, size):
            scores = self._run(self._given(model_inputs, start, size))
            found.append(scores[: rows - start])
        return record.meaning.scores(np.concatenate(found))

    def write_onnx(self, out: Path, *, examples: ModelInputs, axes: Axes, output: str, opset: int) -> None:
        """Writes the file's graph, less what does not lead to its result."""
        record, before = self._known, GraphBuilder("model_inputs")
        connected = {
            name: self._bridged(before, model_input, examples[model_input], name)
            for model_input, name in record.connected.items()
        }
        source = self._converted(opset, self._given(examples, 0, self._batch or len(next(iter(examples.values())))))
        try:
            write_adopted(
                with_free_batch(source, self._batch) if self._batch else source,
                out,
                before=before,
                connected=connected,
                result=record.result,
                meaning=record.meaning,
                examples=examples,
                axes=axes,
                output=output,
                opset=opset,
            )
            if self._batch:
                self._require_alike(out, examples)
        except ExportError as error:
            fixed = f" It was made for batches of {self._batch}: export it again with a free axis." * bool(self._batch)
            raise ExportError(f"{self.path.name} cannot be imported. {error}{fixed}") from error

    def save(self, folder: Path) -> None:
        """Writes the file, joined if its weights lie beside it, and what is known of it."""
        write_whole(self.path, self._model, folder / MODEL)
        (folder / RECORD).write_bytes(msgspec.json.encode(self._known))

    @classmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens the copy."""
        return cls(str(folder / MODEL), record=msgspec.json.decode((folder / RECORD).read_bytes(), type=FileRecord))

    @property
    def has_tails(self) -> bool:
        """Where the file gives logits."""
        return self._known.meaning.has_tails

    @property
    def _known(self) -> FileRecord:
        if self.record is None:
            raise ConfigError(f"{self.path.name} has not met the data yet. Call fit first.")
        return self.record

    @cached_property
    def _model(self) -> onnx.ModelProto:
        return read_graph(self.path)

    @cached_property
    def _inputs(self) -> dict[str, onnx.TypeProto.Tensor]:
        return real_inputs(self._model.graph)

    @cached_property
    def _session(self) -> ort.InferenceSession:
        try:
            return ort.InferenceSession(self.path, session_options(), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as error:
            raise ConfigError(f"{self.path.name} {why_not_opened(error)}") from error

    @cached_property
    def _batch(self) -> int:
        """The size of batch that the file was made for; 0 for any."""
        dims = [tensor.shape.dim[0] for tensor in self._inputs.values() if tensor.shape.dim]
        return next((int(dim.dim_value) for dim in dims if dim.HasField("dim_value")), 0)

    def _converted(self, opset: int, given: ModelInputs) -> onnx.ModelProto:
        try:
            return modern(self._model, opset, given)
        except ExportError as error:
            raise ExportError(f"{self.path.name} cannot be imported. {error}") from error

    def _given(self, model_inputs: ModelInputs, start: int, size: int) -> dict[str, NDArray[Any]]:
        """Returns the file's inputs for some rows; the last row again, up to a whole batch."""
        picked = np.arange(start, start + size).clip(max=len(next(iter(model_inputs.values()))) - 1)
        return {
            name: self._prepared(model_inputs[model_input][picked], name)
            for model_input, name in self._known.connected.items()
        }

    def _prepared(self, model_input: NDArray[Any], name: str) -> NDArray[Any]:
        """Returns a model input as an input of the file takes it."""
        array = self._known.pixels.prepared(model_input) if self._known.pixels else model_input
        return array.astype(helper.tensor_dtype_to_np_dtype(self._inputs[name].elem_type))

    def _bridged(self, builder: GraphBuilder, model_input: str, found: NDArray[Any], name: str) -> str:
        """Adds nodes that do so, if there is anything to do, and returns the name of what they give."""
        wanted = self._inputs[name].elem_type
        if self._known.pixels:
            return builder.add("Cast", self._known.pixels.add_nodes(builder, model_input), to=wanted)
        if helper.np_dtype_to_tensor_dtype(found.dtype) == wanted:
            return model_input
        return builder.add("Cast", model_input, to=wanted)

    def _run(self, given: ModelInputs) -> NDArray[Any]:
        session = self._session
        try:
            (found,) = session.run([self._known.result], dict(given))
        except ORT_ERRORS as error:
            reason = one_line(error)
            raise ConfigError(f"{self.path.name} does not take what the processor gives: {reason}") from error
        return output_numbers(found)

    def _connected(self, model_inputs: list[str]) -> dict[str, str]:
        """Returns model input → input of the file."""
        own = list(self._inputs)
        if self.inputs is not None:
            connected = dict(self.inputs)
        else:
            connected = (
                {model_inputs[0]: own[0]} if len(own) == len(model_inputs) == 1 else {name: name for name in own}
            )
        if set(connected.values()) != set(own) or not set(connected) <= set(model_inputs):
            raise ConfigError(
                f"{self.path.name} takes {', '.join(own)}; the processor gives {', '.join(model_inputs)}. "
                "Set model.inputs={model_input: input} for each of its inputs."
            )
        return connected

    def _result(self) -> str:
        """Returns the output that counts."""
        outputs = [one.name for one in self._model.graph.output]
        floats = numeric_outputs(self._model.graph)
        result = self.output or (floats[0] if len(floats) == 1 else "")
        if result not in outputs:
            raise ConfigError(
                f"{self.path.name} gives {', '.join(outputs)}; model.output is {self.output}. Set it to one of them."
            )
        return result

    def _require_alike(self, written: Path, examples: ModelInputs) -> None:
        """Checks a freed graph: one row, and all of them at once, are answered as by the file itself."""
        expected = self.outputs(examples)
        allowed = LARGEST_CHANGE * max(1.0, float(np.abs(expected).max()))
        session = ort.InferenceSession(written, session_options(), providers=["CPUExecutionProvider"])
        for rows in (1, len(expected)):
            (found,) = session.run(None, {name: array[:rows] for name, array in examples.items()})
            if found.shape != expected[:rows].shape or not np.allclose(found, expected[:rows], rtol=0, atol=allowed):
                written.unlink()
                raise ExportError(f"{rows} rows are predicted otherwise than by the file itself.")
