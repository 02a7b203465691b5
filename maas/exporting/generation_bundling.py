"""Building the bundle of a model that generates: graph, tokenizer, chat template, golden texts, manifest."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile, copytree

import msgspec
import numpy as np
from tokenizers import Tokenizer

from maas.errors import ExportError
from maas.exporting.mlmodel import RUNTIME_PACKAGES, write_mlmodel
from maas.exporting.shipping import ship_runtime
from maas.files import sha256_of, write_json
from maas.importing.decoders.base import LanguageModel, TextFiles
from maas.onnx_graphs.decoder import decoder_graph, state_of
from maas.onnx_graphs.files import write_graph
from maas.records.manifest import GENERATION_VERSION, Generation, Lineage, Manifest, ServingSettings
from maas.records.signature import Signature, TensorSpec
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import ASSETS, DECODE, GOLDEN, MANIFEST, MODEL, PREFILL, read_record
from maas.runtime.generation.decoder import Decoder, TokenIds
from maas.runtime.generation.generator import Prompt, TextGenerator
from maas.runtime.generation.golden import GoldenText, forced_logprobs, greedy_texts
from maas.runtime.generation.opening import TEXTS
from maas.runtime.generation.settings import GenerationSettings

TASK = "text-generation"
TOKENIZER, CHAT_TEMPLATE = f"{ASSETS}/tokenizer.json", f"{ASSETS}/chat_template.jinja"
GOLDEN_TEXTS, GOLDEN_TOKENS = 4, 8
SIGNATURE = Signature((TensorSpec("prompt", "BYTES", (-1,)),), (TensorSpec("text", "BYTES", (-1,)),))


def build_generation_bundle(
    folder: Path,
    *,
    model: LanguageModel,
    name: str,
    serving: ServingSettings,
    lineage: Lineage,
    golden_prompts: Sequence[Prompt],
    opset: int,
) -> Bundle:
    """Writes a bundle without evidence into an empty folder; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        model: decoder.
        name: name of the model.
        serving: most texts at a time, and threads.
        lineage: where the model comes from.
        golden_prompts: prompts whose texts are kept, of the first few.
        opset: ONNX operator set.

    Raises:
        ExportError: the graph is none of this decoder, or too large for a file.
    """
    write_graph(decoder_graph(model.config, model.weights, opset=opset), folder / MODEL)
    generation, state = _write_text_files(folder, model), state_of(model.config)
    generator = TextGenerator(
        folder / MODEL, state, generation, folder, batch_size=serving.batch_size, threads=serving.threads
    )
    settings = GenerationSettings(max_tokens=GOLDEN_TOKENS, overflow="cut")
    prompts = [generator.begin(prompt, settings).prompt for prompt in golden_prompts[:GOLDEN_TEXTS]]
    manifest = Manifest(
        schema_version=GENERATION_VERSION,
        name=name,
        task=TASK,
        precision="fp32",
        graphs={PREFILL: MODEL, DECODE: MODEL},
        processor={},
        postprocessor={},
        signature=SIGNATURE,
        serving=serving,
        lineage=lineage,
        files={},
        state=state,
        generation=generation,
    )
    return _finished(folder, manifest, generator.decoder, prompts)


def rebuild_generation_bundle(folder: Path, *, parent: Bundle, model: Path, precision: str) -> Bundle:
    """Writes a bundle without evidence that generates by another graph; the same arguments give the same bytes.

    Args:
        folder: empty folder.
        parent: bundle whose tokenizer, template, settings, golden prompts and lineage it has.
        model: ONNX file of the same state.
        precision: the compression that was chosen.
    """
    copyfile(model, folder / MODEL)
    copytree(parent.folder / ASSETS, folder / ASSETS)
    manifest = msgspec.structs.replace(parent.manifest, precision=precision, graphs={PREFILL: MODEL, DECODE: MODEL})
    golden = read_record(parent.folder / GOLDEN / TEXTS, list[GoldenText])
    decoder = Decoder(folder / MODEL, manifest.state, manifest.serving.threads)
    return _finished(folder, manifest, decoder, [np.array(one.prompt, np.int64) for one in golden])


def _finished(folder: Path, manifest: Manifest, decoder: Decoder, prompts: Sequence[TokenIds]) -> Bundle:
    """Writes golden texts, what MLflow needs, and the manifest with the digests of all files."""
    (folder / GOLDEN).mkdir()
    write_json(folder / GOLDEN / TEXTS, [_golden(decoder, prompt) for prompt in prompts])
    ship_runtime(folder)
    write_mlmodel(folder, manifest.name, _mlflow_signature(), GENERATION_VERSION, ("jinja2", *RUNTIME_PACKAGES))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    write_json(folder / MANIFEST, msgspec.structs.replace(manifest, files=digests))
    return Bundle.open(folder)


def generation_of(model: LanguageModel) -> Generation:
    """Returns how a model is run, as its bundle's manifest has it."""
    found: TextFiles = model.text_files
    return Generation(
        context_length=model.config.context_length,
        end_tokens=found.end_tokens,
        tokenizer=TOKENIZER,
        chat_template=None if found.chat_template is None else CHAT_TEMPLATE,
        special_tokens=found.special_tokens,
    )


def _write_text_files(folder: Path, model: LanguageModel) -> Generation:
    """Writes what makes tokens of texts, and returns how the model is run."""
    found: TextFiles = model.text_files
    _require_known_tokens(found, model.config.vocabulary_size)
    (folder / ASSETS).mkdir()
    (folder / TOKENIZER).write_text(found.tokenizer, encoding="utf-8")
    if found.chat_template is not None:
        (folder / CHAT_TEMPLATE).write_bytes(found.chat_template.encode())
    return generation_of(model)


def _require_known_tokens(files: TextFiles, vocabulary_size: int) -> None:
    """Requires a decoder that has a vector for each token that texts become.

    Raises:
        ExportError: the tokenizer has more.
    """
    largest = max(Tokenizer.from_str(files.tokenizer).get_vocab(with_added_tokens=True).values())
    if largest >= vocabulary_size:
        raise ExportError(
            f"The tokenizer gives tokens up to {largest}; the decoder has {vocabulary_size}. They are of two models."
        )


def _golden(decoder: Decoder, prompt: TokenIds) -> GoldenText:
    (tokens,) = greedy_texts(decoder, [prompt], GOLDEN_TOKENS)
    return GoldenText(prompt.tolist(), tokens, forced_logprobs(decoder, prompt, tokens))


def _mlflow_signature() -> dict[str, object]:
    """Returns MLflow's schemas: a text in, a text out."""
    column = {"type": "string", "required": True}
    encode = msgspec.json.encode
    return {
        "inputs": encode([column]).decode(),
        "outputs": encode([{"name": "text", **column}]).decode(),
        "params": None,
    }
