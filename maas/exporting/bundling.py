"""Building a bundle: model, processor, golden outputs, manifest, and the files that make it an MLflow model."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.exporting.mlmodel import write_mlmodel
from maas.exporting.shipping import ship_runtime
from maas.files import sha256_of, write_json
from maas.records.evidence import Evidence
from maas.records.manifest import MANIFEST_VERSION, Lineage, Manifest, ServingSettings
from maas.records.signature import TensorSpec
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import ASSETS, EVIDENCE, GOLDEN, MANIFEST, MODEL, PREDICT
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import Postprocessor
from maas.runtime.processors import Processor


def build_bundle(
    folder: Path,
    *,
    model: Path,
    name: str,
    task: str,
    precision: str,
    processor: Processor,
    postprocessor: Postprocessor,
    serving: ServingSettings,
    lineage: Lineage,
    golden_rows: Sequence[Any],
) -> Bundle:
    """Writes a bundle without evidence into an empty folder; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        model: ONNX file that ships.
        name: name of the model.
        task: kinds of input and output, e.g. `text-classification`.
        precision: `fp32`, or the compression that was chosen.
        processor: fitted processor.
        postprocessor: names the outputs.
        serving: batch size and threads.
        lineage: where the model comes from.
        golden_rows: raw inputs whose predictions are kept.
    """
    copyfile(model, folder / MODEL)
    (folder / ASSETS).mkdir()
    processor.save(folder / ASSETS)
    predictor = Predictor(
        folder / MODEL, processor, postprocessor, batch_size=serving.batch_size, threads=serving.threads
    )
    write_golden(folder / GOLDEN, predictor, golden_rows)
    ship_runtime(folder)
    write_mlmodel(folder, name, mlflow_signature(predictor), MANIFEST_VERSION)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        schema_version=MANIFEST_VERSION,
        name=name,
        task=task,
        precision=precision,
        graphs={PREDICT: MODEL},
        processor=processor.record(),
        postprocessor=postprocessor.record(),
        signature=predictor.signature,
        serving=serving,
        lineage=lineage,
        files={path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
    )
    write_json(folder / MANIFEST, manifest)
    return Bundle.open(folder)


def attach_evidence(bundle: Bundle, evidence: Evidence) -> None:
    """Writes `evidence.json` beside the manifest that it is about."""
    write_json(bundle.folder / EVIDENCE, evidence)


def write_golden(folder: Path, predictor: Predictor, rows: Sequence[Any]) -> None:
    """Writes raw inputs and what a model gives for them.

    Args:
        folder: new folder.
        predictor: the model.
        rows: raw inputs.
    """
    outputs = predictor.outputs(rows)
    folder.mkdir()
    write_json(folder / "inputs.json", [_as_json(row) for row in rows])
    predictions: NDArray[Any] = predictor.postprocessor.scores(outputs)
    write_json(
        folder / "outputs.json",
        {"scores": predictions.tolist(), "predictions": predictor.postprocessor.predictions(outputs)},
    )


def _as_json(row: object) -> object:
    """Returns a raw row as a client would send it; bytes become base64 where JSON is written."""
    if isinstance(row, Path):
        return row.read_bytes()
    return row.tolist() if isinstance(row, np.ndarray) else row


def mlflow_signature(predictor: Predictor) -> dict[str, Any] | None:
    """Returns MLflow's schemas, as texts; None where MLflow would refuse what the model takes.

    MLflow takes a tensor of exactly one type, and no list; whole numbers are no numbers to it, nor is a whole number
    among missing ones. So columns are of any type, and a model of arrays has no schema: its processor checks all rows.
    """
    specs = predictor.processor.input_specs
    if len(specs) > 1:
        inputs = [{"name": spec.name, "type": "any", "required": False} for spec in specs]
    elif specs[0].datatype == "BYTES" and len(specs[0].shape) == 1:
        inputs = [{"type": "binary" if predictor.processor.media_types else "string", "required": True}]
    else:
        return None
    outputs = [_mlflow_output(spec) for spec in predictor.signature.outputs[:2]]
    return {
        "inputs": msgspec.json.encode(inputs).decode(),
        "outputs": msgspec.json.encode(outputs).decode(),
        "params": None,
    }


def _mlflow_output(spec: TensorSpec) -> dict[str, Any]:
    if len(spec.shape) > 1:
        kind: dict[str, Any] = {"type": "array", "items": {"type": "double"}}
        return {"name": spec.name, "required": True, **kind}
    return {"name": spec.name, "type": "string" if spec.datatype == "BYTES" else "double", "required": True}
