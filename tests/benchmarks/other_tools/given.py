"""What a tool is given, and what it gives back: files in folders. Tools read this in environments without maas."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

ModelInputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Terms:
    """What holds for all tools.

    Args:
        output: name of the graph's output that holds a score for each label, (N, K).
        classes: labels.
        max_drop: percentage points of accuracy that may be lost on validation rows.
        seconds: that the search may take.
    """

    output: str
    classes: int
    max_drop: float
    seconds: float


@dataclass(frozen=True)
class Given:
    """A folder with a model and rows.

    Args:
        folder: where they lie.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """The ONNX file, fp32."""
        return self.folder / "fp32.onnx"

    @property
    def terms(self) -> Terms:
        """What holds for all tools."""
        return Terms(**json.loads((self.folder / "terms.json").read_text()))

    @property
    def calibration(self) -> list[ModelInputs]:
        """Training rows, one by one, each as long as it is."""
        return _read(self.folder / "calibration.npz")

    @property
    def padded(self) -> list[ModelInputs]:
        """The same rows, one by one, all as long as the longest."""
        together = _read(self.folder / "padded.npz")[0]
        rows = len(next(iter(together.values())))
        return [{name: array[row : row + 1] for name, array in together.items()} for row in range(rows)]

    @property
    def validation(self) -> list[tuple[ModelInputs, np.ndarray]]:
        """Validation rows in batches, each with its targets, (N,)."""
        targets = [batch["targets"] for batch in _read(self.folder / "targets.npz")]
        return list(zip(_read(self.folder / "validation.npz"), targets, strict=True))

    @property
    def timed(self) -> ModelInputs:
        """A batch of the size that the model is to be fast at."""
        return _read(self.folder / "timed.npz")[0]

    @property
    def is_transformer(self) -> bool:
        """Whether the graph holds attention, as far as its operators tell."""
        kinds = {node.op_type for node in onnx.load(self.model).graph.node}
        return {"LayerNormalization", "Softmax", "MatMul"} <= kinds

    def hits(self, model: onnx.ModelProto, batches: Iterable[tuple[ModelInputs, np.ndarray]]) -> list[np.ndarray]:
        """Tells of each row whether a model finds its label, (N,) for each batch."""
        session, output = ort.InferenceSession(model.SerializeToString()), self.terms.output
        return [session.run([output], model_inputs)[0].argmax(axis=1) == targets for model_inputs, targets in batches]

    def write(
        self,
        terms: Terms,
        calibration: Sequence[ModelInputs],
        padded: ModelInputs,
        validation: Sequence[ModelInputs],
        targets: Sequence[np.ndarray],
        timed: ModelInputs,
    ) -> None:
        """Writes all but the model."""
        (self.folder / "terms.json").write_text(json.dumps(asdict(terms)))
        _write(self.folder / "calibration.npz", calibration)
        _write(self.folder / "padded.npz", [padded])
        _write(self.folder / "validation.npz", validation)
        _write(self.folder / "targets.npz", [{"targets": one} for one in targets])
        _write(self.folder / "timed.npz", [timed])


@dataclass(frozen=True)
class Made:
    """What a tool gives back.

    Args:
        name: of the way that was taken.
        settings: as one would write them down.
        seconds: that it took.
        model: the ONNX file; empty if it failed.
        fault: why it failed, in one line.
    """

    name: str
    settings: str
    seconds: float
    model: str = ""
    fault: str = ""


def read_made(folder: Path) -> list[Made]:
    """Returns what a tool has given back so far."""
    file = folder / "made.jsonl"
    return [Made(**json.loads(line)) for line in file.read_text().splitlines()] if file.is_file() else []


def give_back(folder: Path, made: Made) -> None:
    """Adds to what is given back."""
    with (folder / "made.jsonl").open("a") as file:
        file.write(json.dumps(asdict(made)) + "\n")


def try_out(folder: Path, name: str, settings: Mapping[str, Any], make: Callable[[], onnx.ModelProto]) -> None:
    """Makes a model and gives it back, or the reason why it cannot be made."""
    started, shown = time.perf_counter(), described(settings)
    try:
        model = make()
    except Exception as error:  # noqa: BLE001 - a tool raises whatever it meets
        give_back(folder, Made(name, shown, time.perf_counter() - started, fault=one_line(error)))
        return
    seconds = time.perf_counter() - started
    file = folder / f"{name.replace(' ', '_')}.onnx"
    onnx.save(model, file)
    give_back(folder, Made(name, shown, seconds, str(file)))


def described(settings: Mapping[str, Any]) -> str:
    """Returns settings as one would write them down."""
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def one_line(error: Exception) -> str:
    """Returns an error's kind and its message's first line."""
    return " ".join([f"{type(error).__name__}:", *str(error).strip().splitlines()[:1]])


def _write(path: Path, batches: Sequence[ModelInputs]) -> None:
    named = {f"{number}/{name}": array for number, batch in enumerate(batches) for name, array in batch.items()}
    np.savez(path, allow_pickle=False, **named)


def _read(path: Path) -> list[ModelInputs]:
    batches: dict[int, ModelInputs] = {}
    for number, name, array in _arrays(path):
        batches.setdefault(number, {})[name] = array
    return [batches[number] for number in sorted(batches)]


def _arrays(path: Path) -> Iterator[tuple[int, str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as loaded:
        for key in loaded.files:
            number, _, name = key.partition("/")
            yield int(number), name, loaded[key]
