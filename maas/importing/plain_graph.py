"""A plain ONNX file that stays as it is: its own inputs, its own outputs, no processor.

Rows are arrays by the names of its inputs. To make a bundle of such a file, name it in a recipe (`onnx_file.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from maas.errors import ConfigError, DataError, ExportError, one_line
from maas.importing.meaning import Gives, Meaning
from maas.importing.records import Records
from maas.onnx_graphs.opsets import OLDEST_OPSET, modern
from maas.onnx_graphs.reading import numeric_outputs, real_inputs
from maas.onnx_graphs.running import output_numbers, why_not_opened
from maas.runtime.graph import ORT_ERRORS

TASK_OF_NUMBERS: dict[Gives, str] = {
    "probabilities": "classification", "logits": "classification", "probability": "classification",
    "logit": "classification", "value": "regression", "embedding": "embedding",
}  # fmt: skip
"""What is answered with numbers of a kind."""
TRIED = 32
"""Rows that are answered first, to see whether they can be."""


@dataclass(frozen=True)
class PlainGraph:
    """Inputs and result of a file.

    Args:
        name: name of the file, for messages.
        inputs: the type and the sizes of each, the batch first; None for any size.
        result: the output that is evaluated.
        batch: rows that it takes at once; None for any number.
    """

    name: str
    inputs: Mapping[str, tuple[np.dtype[Any], tuple[int | None, ...]]]
    result: str
    batch: int | None

    @classmethod
    def of(cls, model: onnx.ModelProto, name: str, output: str | None = None) -> "PlainGraph":
        """Reads a model.

        Args:
            model: of the file.
            name: of the file.
            output: that is evaluated; None for the only one of floating-point numbers.

        Raises:
            ConfigError: it takes no rows, a type of rows that cannot be given, or several outputs may be meant.
        """
        inputs = {key: _input(key, tensor, name) for key, tensor in real_inputs(model.graph).items()}
        if not inputs:
            raise ConfigError(f"{name} has no inputs; there is nothing to calibrate with rows.")
        outputs, floats = [one.name for one in model.graph.output], numeric_outputs(model.graph)
        result = output or (floats[0] if len(floats) == 1 else "")
        if result not in outputs:
            found = (
                f"output={output} is none of them" if output else f"{len(floats)} of them hold such numbers as answers"
            )
            raise ConfigError(
                f"{name} gives {', '.join(outputs)}; {found}. Set output=NAME to the one that is evaluated."
            )
        return cls(name, inputs, result, _batch(inputs, name))

    def answered(self, path: Path, processor: Records, records: NDArray[Any]) -> NDArray[Any]:
        """Returns the result of the first rows, and checks that the file answers row by row.

        Args:
            path: of the file.
            processor: of the records.
            records: (N,).

        Raises:
            ConfigError: ONNX Runtime does not open it, it does not take these rows, or an output is not one of rows.
        """
        try:
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        except ORT_ERRORS as error:
            raise ConfigError(f"{self.name} {why_not_opened(error)}") from error
        names, found = [output.name for output in session.get_outputs()], {}
        for count in (1, self.batch or min(TRIED, len(records))):
            model_inputs = processor.batch(processor.preprocess([record.tobytes() for record in records[:count]]))
            try:
                found = dict(zip(names, session.run(names, model_inputs), strict=True))
            except ORT_ERRORS as error:
                raise ConfigError(f"{self.name} does not answer {count} of these rows: {one_line(error)}.") from error
            for name, value in found.items():
                shape = np.shape(value)
                if not shape or shape[0] != count:
                    raise ConfigError(
                        f"{self.name} gives {name} of shape {list(shape)} for {count} rows; rows come first."
                    )
        return output_numbers(found[self.result])

    def require_convertible(self, model: onnx.ModelProto, processor: Records, records: NDArray[Any]) -> None:
        """Checks that a file of an old opset computes the same once it is of a recent one, as passes make it.

        Args:
            model: of the file.
            processor: of the records.
            records: (N,).

        Raises:
            ConfigError: an operator would give other numbers, or has no form in a recent opset.
        """
        rows = [record.tobytes() for record in records[: self.batch or TRIED]]
        try:
            modern(model, OLDEST_OPSET, processor.batch(processor.preprocess(rows)))
        except ExportError as error:
            raise ConfigError(f"{self.name} cannot be made smaller as it is. {error}") from error

    def records(self, arrays: Mapping[str, NDArray[Any]], path: Path) -> NDArray[Any]:
        """Joins arrays into rows, structured (N,), a field for each input.

        Args:
            arrays: by the names of the inputs, the rows first.
            path: where they were read, for messages.

        Raises:
            DataError: one is missing, too much, or of another type or shape.
        """
        if set(arrays) != set(self.inputs):
            raise DataError(
                f"{path} holds {', '.join(arrays) or 'nothing'}; {self.name} takes {', '.join(self.inputs)}. Save "
                "arrays of these names, and targets if there are any."
            )
        for name, (dtype, sizes) in self.inputs.items():
            _require_fitting(arrays[name], dtype, sizes, f"{name} of {path}")
        fields = [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()]
        found = np.empty(len(next(iter(arrays.values()))), dtype=fields)
        for name, array in arrays.items():
            found[name] = array
        return found


def meaning_of_numbers(found: NDArray[Any], targets: NDArray[Any] | None, gives: Gives | None) -> Meaning:
    """Returns what a graph's numbers mean: what is given, or what they and the targets look like.

    Args:
        found: the output of some rows, (N, …).
        targets: (N,), whole numbers or names for labels, others for values; None for none.
        gives: the given kind of numbers; None infers it.

    Raises:
        ConfigError: the output is not of the given kind, or not of that of the targets.
    """
    flat = output_numbers(found).reshape(len(found), -1)
    width = flat.shape[1]
    kind = gives or _looks_like(flat, targets)
    if kind in ("value", "logit", "probability") and width != 1:
        raise ConfigError(f"The output gives {width} numbers a row; gives={kind} is of one. Set gives= or output=.")
    if kind in ("probabilities", "logits") and width < 2:
        raise ConfigError(f"The output gives one number a row; gives={kind} is of two or more. Set gives= or output=.")
    if kind == "embedding" and targets is not None:
        raise ConfigError("Vectors have no targets to be evaluated with. Leave targets out, or set gives=logits.")
    labels = {"classification": max(width, 2)}.get(TASK_OF_NUMBERS[kind], 0)
    return Meaning(kind, tuple(range(labels)))


def _looks_like(flat: NDArray[Any], targets: NDArray[Any] | None) -> Gives:
    is_fraction = bool(((flat >= 0) & (flat <= 1)).all())
    if flat.shape[1] > 1 and is_fraction and np.allclose(flat.sum(axis=1), 1, atol=1e-3):
        return "probabilities"
    if targets is None:
        return "value" if flat.shape[1] == 1 else "embedding"
    if flat.shape[1] > 1:
        return "logits"
    is_label = targets.dtype.kind in "iub" and bool(((targets == 0) | (targets == 1)).all())
    return ("probability" if is_fraction else "logit") if is_label else "value"


def _input(name: str, tensor: onnx.TypeProto.Tensor, file: str) -> tuple[np.dtype[Any], tuple[int | None, ...]]:
    if not tensor.HasField("shape") or not len(tensor.shape.dim):
        raise ConfigError(f"Input {name} of {file} has no axis for rows; each input must have one, the first.")
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"Input {name} of {file} has a type that numpy lacks: {one_line(error)}.") from error
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return dtype, tuple(sizes)


def _batch(inputs: Mapping[str, tuple[np.dtype[Any], tuple[int | None, ...]]], file: str) -> int | None:
    sizes = {shape[0] for _, shape in inputs.values()} - {None}
    if sizes - {1}:
        raise ConfigError(
            f"{file} takes {max(filter(None, sizes))} rows at once, no more and no less. Export it again with a free "
            "first axis, or one of 1, or take it through the line: maas run recipe=import_onnx model.path=FILE."
        )
    return 1 if sizes else None


def _require_fitting(array: NDArray[Any], dtype: np.dtype[Any], sizes: tuple[int | None, ...], what: str) -> None:
    is_text = dtype == np.dtype(object) and array.dtype.kind == "U"
    if array.dtype != dtype and not is_text:
        wanted = "text" if dtype == np.dtype(object) else dtype.name
        raise DataError(f"{what} holds {array.dtype.name}; the graph takes {wanted}. Convert it with astype.")
    wanted_sizes = (None, *sizes[1:])
    fits = [wanted in (None, found) for wanted, found in zip(wanted_sizes, array.shape, strict=False)]
    if array.ndim != len(sizes) or not all(fits):
        shown = ", ".join("any" if size is None else str(size) for size in wanted_sizes)
        raise DataError(f"{what} has shape {list(array.shape)}; the graph takes [{shown}], the rows first.")
