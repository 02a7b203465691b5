"""Building the bundle of a model that makes one text of another: two graphs, processor, golden rows, manifest."""

from collections.abc import Sequence
from pathlib import Path

from maas.exporting.bundling import mlflow_signature, write_golden
from maas.exporting.mlmodel import write_mlmodel
from maas.exporting.shipping import ship_runtime
from maas.exporting.trained_translator import TrainedTranslator
from maas.files import sha256_of, write_json
from maas.onnx_graphs.files import write_graph
from maas.onnx_graphs.translation import encoder_graph, step_graph, translation_state
from maas.records.manifest import TRANSLATION_VERSION, Lineage, Manifest, ServingSettings, Translation
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import ASSETS, DECODE, ENCODE, GOLDEN, MANIFEST, MODEL
from maas.runtime.model import Predictor
from maas.runtime.postprocessors.translation import LOG_PROBABILITY, TranslationPostprocessor
from maas.runtime.translation.graphs import TranslationGraphs
from maas.runtime.translation.translator import Translator

TRANSLATION_TASK = "translation"
ENCODER = "encoder.onnx"
GOLDEN_TRANSLATIONS = 8


def build_translation_bundle(
    folder: Path,
    *,
    model: TrainedTranslator,
    name: str,
    serving: ServingSettings,
    lineage: Lineage,
    rows: Sequence[str],
    opset: int,
) -> Bundle:
    """Writes a bundle without evidence into an empty folder; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        model: net.
        name: name of the model.
        serving: most texts at a time, and threads.
        lineage: where the model comes from.
        rows: texts; those whose translations are the likeliest are golden, as rounding changes them the least.
        opset: ONNX operator set.

    Raises:
        ExportError: a weight is missing, or a graph is too large for a file.
    """
    config, processor = model.config, model.processor
    write_graph(encoder_graph(config, model.weights, opset=opset), folder / ENCODER)
    write_graph(step_graph(config, model.weights, opset=opset), folder / MODEL)
    (folder / ASSETS).mkdir()
    processor.save(folder / ASSETS)
    state = translation_state(config)
    settings = Translation(end_token=processor.end, max_tokens=processor.max_tokens)
    predictor = Predictor(
        Translator(TranslationGraphs(folder / ENCODER, folder / MODEL, state, serving.threads), processor, settings),
        processor,
        TranslationPostprocessor(),
        batch_size=serving.batch_size,
        threads=serving.threads,
    )
    write_golden(folder / GOLDEN, predictor, _likeliest(predictor, rows))
    ship_runtime(folder)
    write_mlmodel(folder, name, mlflow_signature(predictor), TRANSLATION_VERSION)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        schema_version=TRANSLATION_VERSION,
        name=name,
        task=TRANSLATION_TASK,
        precision="fp32",
        graphs={ENCODE: ENCODER, DECODE: MODEL},
        processor=processor.record(),
        postprocessor=predictor.postprocessor.record(),
        signature=predictor.signature,
        serving=serving,
        lineage=lineage,
        files={path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
        state=state,
        translation=settings,
    )
    write_json(folder / MANIFEST, manifest)
    return Bundle.open(folder)


def _likeliest(predictor: Predictor, rows: Sequence[str]) -> list[str]:
    """Returns the rows whose translations are the likeliest, in their order."""
    places = predictor.outputs(rows)[LOG_PROBABILITY].argsort(kind="stable")[::-1][:GOLDEN_TRANSLATIONS]
    return [rows[place] for place in sorted(places.tolist())]
