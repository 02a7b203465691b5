"""Building the bundle of a model that writes a text of what it reads: two graphs, processor, golden rows, manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maas.exporting.bundling import mlflow_signature, write_golden
from maas.exporting.mlmodel import write_mlmodel
from maas.exporting.sequence_model import SequenceModel
from maas.exporting.shipping import ship_runtime
from maas.files import sha256_of, write_json
from maas.onnx_graphs.files import write_graph
from maas.records.manifest import (
    TRANSCRIPTION_VERSION,
    TRANSLATION_VERSION,
    Lineage,
    Manifest,
    ServingSettings,
    Transcription,
)
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import ASSETS, DECODE, ENCODE, GOLDEN, MANIFEST, MODEL
from maas.runtime.model import Predictor
from maas.runtime.postprocessors.transcription import SPEECH_TASK
from maas.runtime.postprocessors.translation import LOG_PROBABILITY
from maas.runtime.translation.graphs import TranslationGraphs

TRANSLATION_TASK = "translation"
ENCODER = "encoder.onnx"
CANDIDATES = 4
"""Rows that are predicted for each one that becomes golden."""


def build_sequence_bundle(
    folder: Path,
    *,
    model: SequenceModel,
    name: str,
    serving: ServingSettings,
    lineage: Lineage,
    rows: Sequence[Any],
    opset: int,
) -> Bundle:
    """Writes a bundle without evidence into an empty folder; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        model: net.
        name: name of the model.
        serving: most rows at a time, and threads.
        lineage: where the model comes from.
        rows: raw rows; those whose texts are the likeliest are golden, as rounding changes them the least.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing, or a graph is too large for a file.
    """
    processor, settings, graphs = model.processor, model.settings, model.graphs(opset)
    write_graph(graphs.encode, folder / ENCODER)
    write_graph(graphs.decode, folder / MODEL)
    (folder / ASSETS).mkdir()
    processor.save(folder / ASSETS)
    opened = TranslationGraphs(folder / ENCODER, folder / MODEL, graphs.state, serving.threads)
    predictor = Predictor(
        model.translator(opened, processor, settings),
        processor,
        model.postprocessor,
        batch_size=serving.batch_size,
        threads=serving.threads,
    )
    write_golden(folder / GOLDEN, predictor, _likeliest(predictor, rows, model.golden_rows))
    ship_runtime(folder)
    transcription = settings if isinstance(settings, Transcription) else None
    version = TRANSLATION_VERSION if transcription is None else TRANSCRIPTION_VERSION
    write_mlmodel(folder, name, mlflow_signature(predictor), version)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        schema_version=version,
        name=name,
        task=TRANSLATION_TASK if transcription is None else SPEECH_TASK,
        precision="fp32",
        graphs={ENCODE: ENCODER, DECODE: MODEL},
        processor=processor.record(),
        postprocessor=predictor.postprocessor.record(),
        signature=predictor.signature,
        serving=serving,
        lineage=lineage,
        files={path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
        state=graphs.state,
        translation=settings if transcription is None else None,
        transcription=transcription,
    )
    write_json(folder / MANIFEST, manifest)
    return Bundle.open(folder)


def _likeliest(predictor: Predictor, rows: Sequence[Any], count: int) -> list[Any]:
    """Returns the rows whose texts are the likeliest of the first ones, in their order."""
    tried = rows[: CANDIDATES * count]
    places = predictor.outputs(tried)[LOG_PROBABILITY].argsort(kind="stable")[::-1][:count]
    return [tried[place] for place in sorted(places.tolist())]
