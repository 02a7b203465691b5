"""Building the bundle of a model that writes a text of what it reads: two graphs, processor, golden rows, manifest."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import msgspec
import onnx

from maas.exporting.bundling import mlflow_signature, write_golden
from maas.exporting.mlmodel import write_mlmodel
from maas.exporting.sequence_model import SequenceModel
from maas.exporting.shipping import ship_runtime
from maas.files import sha256_of, write_json
from maas.onnx_graphs.files import write_graph
from maas.records.manifest import (
    TIMED_TRANSCRIPTION_VERSION,
    TRANSCRIPTION_VERSION,
    TRANSLATION_VERSION,
    Lineage,
    Manifest,
    ServingSettings,
    TimedTranscription,
    Transcription,
    Translation,
)
from maas.records.signature import Signature
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import ASSETS, DECODE, ENCODE, GOLDEN, HEAR, MANIFEST, MODEL
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.runtime.postprocessors.transcription import SPEECH_TASK
from maas.runtime.postprocessors.translation import LOG_PROBABILITY
from maas.runtime.processors import Processor
from maas.runtime.searched_rows import following
from maas.runtime.translation.timed_transcriber import opened_translator

TRANSLATION_TASK = "translation"
ENCODER, SPECTROGRAMS = "encoder.onnx", "spectrogram.onnx"
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
    written = {ENCODE: (ENCODER, graphs.encode), DECODE: (MODEL, graphs.decode)}
    if graphs.hear is not None:
        written[HEAR] = (SPECTROGRAMS, graphs.hear)
    for file, graph in written.values():
        write_graph(graph, folder / file)
    (folder / ASSETS).mkdir()
    processor.save(folder / ASSETS)
    version, records = _searching(settings)
    manifest = Manifest(
        schema_version=version,
        name=name,
        task=TRANSLATION_TASK if version == TRANSLATION_VERSION else SPEECH_TASK,
        precision="fp32",
        graphs={role: file for role, (file, _) in written.items()},
        processor=processor.record(),
        postprocessor=model.postprocessor.record(),
        signature=Signature(processor.input_specs, model.postprocessor.specs),
        serving=serving,
        lineage=lineage,
        files={},
        state=graphs.state,
        **records,
    )
    return _finished(folder, (processor, model.postprocessor), manifest, rows, model.golden_rows)


def rebuild_sequence_bundle(
    folder: Path, *, parent: Bundle, graphs: tuple[onnx.ModelProto, onnx.ModelProto], precision: str
) -> Bundle:
    """Writes a bundle without evidence that writes texts by other graphs; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        parent: bundle whose processor, settings, golden rows and lineage it has.
        graphs: the one that reads and the one that writes.
        precision: the compression that was chosen.

    Raises:
        ExportError: a graph is too large for a file.
    """
    copytree(parent.folder / ASSETS, folder / ASSETS)
    manifest = msgspec.structs.replace(parent.manifest, precision=precision, files={})
    for role, file in manifest.graphs.items():
        if role not in (ENCODE, DECODE):
            copyfile(parent.folder / file, folder / file)
    for role, graph in zip((ENCODE, DECODE), graphs, strict=True):
        write_graph(graph, folder / manifest.graphs[role])
    made = (parent.load_processor(), load_postprocessor(manifest.postprocessor))
    return _finished(folder, made, manifest, parent.golden.inputs, len(parent.golden.inputs))


def _finished(
    folder: Path, made: tuple[Processor, Postprocessor], manifest: Manifest, rows: Sequence[Any], golden: int
) -> Bundle:
    """Adds golden rows and the runtime to a folder of graphs and assets, and returns the bundle that it is then.

    Args:
        folder: with graphs and assets.
        made: processor and postprocessor.
        manifest: of the bundle, without files.
        rows: raw rows.
        golden: number of golden rows.
    """
    predictor = Predictor(
        opened_translator(folder, manifest, following(made[0], manifest.search)),
        *made,
        batch_size=manifest.serving.batch_size,
        threads=manifest.serving.threads,
    )
    write_golden(folder / GOLDEN, predictor, _likeliest(predictor, rows, golden))
    ship_runtime(folder)
    write_mlmodel(folder, manifest.name, mlflow_signature(predictor), manifest.schema_version)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    write_json(folder / MANIFEST, msgspec.structs.replace(manifest, files=digests))
    return Bundle.open(folder)


def _searching(settings: Translation) -> tuple[int, dict[str, Any]]:
    """Returns the version of a manifest with these settings, and where it has them."""
    if isinstance(settings, TimedTranscription):
        return TIMED_TRANSCRIPTION_VERSION, {"timed_transcription": settings}
    if isinstance(settings, Transcription):
        return TRANSCRIPTION_VERSION, {"transcription": settings}
    return TRANSLATION_VERSION, {"translation": settings}


def _likeliest(predictor: Predictor, rows: Sequence[Any], count: int) -> list[Any]:
    """Returns the rows whose texts are the likeliest of the first ones, in their order."""
    tried = rows[: CANDIDATES * count]
    places = predictor.outputs(tried)[LOG_PROBABILITY].argsort(kind="stable")[::-1][:count]
    return [tried[place] for place in sorted(places.tolist())]
