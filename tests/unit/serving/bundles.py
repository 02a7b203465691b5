"""Small bundles, built with onnx.helper in milliseconds: for arrays, text, pictures and sounds; one gives values."""

import hashlib
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from maas.records.manifest import MANIFEST_VERSION, Lineage, Manifest, ServingSettings
from maas.records.signature import Signature
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.runtime.processors import Processor
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.audio import AudioProcessor
from maas.runtime.processors.combined import CombinedProcessor
from maas.runtime.processors.image import ImageProcessor
from maas.runtime.processors.speech import SpeechProcessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor

TEXTS = [
    "这是一个很棒的文本",
    "质量太差了，非常失望",
    "a very good film with a long and winding plot that never loses its way, from the first scene to the last one",
    "bad",
    "物流很快，包装完好，下次还会再来",
    "it’s “fine”, I guess…",
]


def array_bundle(folder: Path, *, width: int = 64, labels: int = 10, batch_size: int = 8, seed: int = 0) -> Path:
    """A softmax over a linear layer over rows of numbers in [0, 16]."""
    random = np.random.default_rng(seed)
    weights = {
        "weight": random.normal(0, 0.1, (width, labels)).astype(np.float32),
        "bias": random.normal(0, 0.1, labels).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])
    rows = random.integers(0, 17, (6, width)).tolist()
    return _bundle(
        folder,
        name="digits",
        task="tabular-classification",
        nodes=nodes,
        weights=weights,
        graph_input=features,
        processor=ArrayProcessor([width], low=0, high=16),
        labels=[str(label) for label in range(labels)],
        golden=rows,
        batch_size=batch_size,
    )


def multilabel_bundle(folder: Path, *, width: int = 64) -> Path:
    """A sigmoid over each of three linear sums of rows of numbers in [0, 16]; a row may have any of three labels."""
    random = np.random.default_rng(2)
    weights = {"weight": random.normal(0, 0.03, (width, 3)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    nodes = [
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    return _bundle(
        folder,
        name="properties",
        task="tabular-multilabel",
        nodes=nodes,
        weights=weights,
        graph_input=helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width]),
        processor=ArrayProcessor([width], low=0, high=16),
        postprocessor=load_postprocessor({"kind": "multilabel", "labels": ["even", "prime", "round"]}),
        golden=random.integers(0, 17, (6, width)).tolist(),
        batch_size=8,
    )


def failing_bundle(folder: Path, *, width: int = 64, labels: int = 10) -> Path:
    """Takes rows as `array_bundle` does; its run fails for a row that begins with 16."""
    random = np.random.default_rng(7)
    weights = {
        "zeros": np.zeros((16, 1), np.float32),
        "first": np.array([0], np.int64),
        "weight": random.normal(0, 0.1, (width, labels)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["features", "first"], ["column"], axis=1),
        helper.make_node("Cast", ["column"], ["index"], to=TensorProto.INT64),
        helper.make_node("GatherND", ["zeros", "index"], ["zero"]),
        helper.make_node("MatMul", ["features", "weight"], ["product"]),
        helper.make_node("Add", ["product", "zero"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return _bundle(
        folder,
        name="digits",
        task="tabular-classification",
        nodes=nodes,
        weights=weights,
        graph_input=helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width]),
        processor=ArrayProcessor([width], low=0, high=16),
        labels=[str(label) for label in range(labels)],
        golden=random.integers(0, 16, (6, width)).tolist(),
        batch_size=8,
    )


def value_bundle(folder: Path, *, bias: float = 3.0, deviation: float = 1.0, width: int = 4) -> Path:
    """A linear layer over rows of numbers in [0, 16]; its values lie around `bias`."""
    random = np.random.default_rng(0)
    weights = {
        "weight": (deviation / 8 * random.normal(0, 1, width)).astype(np.float32),
        "middle": np.full(width, 8, np.float32),
        "bias": np.array(bias, np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["features", "middle"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["value"]),
    ]
    return _bundle(
        folder,
        name="price",
        task="tabular-regression",
        nodes=nodes,
        weights=weights,
        graph_input=helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width]),
        processor=ArrayProcessor([width], low=0, high=16),
        postprocessor=load_postprocessor({"kind": "regression"}),
        golden=random.integers(0, 17, (6, width)).tolist(),
        batch_size=8,
    )


def flag_bundle(folder: Path) -> Path:
    """Gives 103.9 for TRUE, 69.3 for FALSE, as a file spells them, and 0 for anything else."""
    rows = [{"flag": "TRUE"}, {"flag": "FALSE"}, {"flag": "TRUE"}]
    weights = {"values": np.array([0, 103.9, 69.3], np.float32), "axis": np.array([1], dtype=np.int64)}
    nodes = [
        helper.make_node("Gather", ["values", "categories"], ["column"]),
        helper.make_node("Squeeze", ["column", "axis"], ["value"]),
    ]
    return _bundle(
        folder,
        name="flag",
        task="tabular-regression",
        nodes=nodes,
        weights=weights,
        graph_input=helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
        processor=TabularProcessor(categories=["flag"]).fit(rows),
        postprocessor=load_postprocessor({"kind": "regression"}),
        golden=rows,
        batch_size=8,
    )


def table_bundle(folder: Path) -> Path:
    """The sum of two numbers, a missing one as 0, and the position of a category among S, M and L."""
    rows = [{"price": 1.5, "area": 20, "size": "S"}, {"price": None, "size": "M"}, {"area": 0.5, "size": "L"}]
    weights = {"zero": np.array(0, np.float32), "axis": np.array([1], dtype=np.int64)}
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "numbers"], ["filled"]),
        helper.make_node("Cast", ["categories"], ["positions"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["filled", "positions"], ["columns"], axis=1),
        helper.make_node("ReduceSum", ["columns", "axis"], ["value"], keepdims=0),
    ]
    graph_inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
    ]
    return _bundle(
        folder,
        name="sums",
        task="tabular-regression",
        nodes=nodes,
        weights=weights,
        graph_input=graph_inputs,
        processor=TabularProcessor(["price", "area"], ["size"]).fit([{"size": one} for one in "SSSMML"]),
        postprocessor=load_postprocessor({"kind": "regression"}),
        golden=rows,
        batch_size=8,
    )


def gaps_bundle(folder: Path) -> Path:
    """Gives a number as it is, 7 where it is missing, plus the position of a category."""
    rows = [{"price": 1.5, "size": "S"}, {"price": None, "size": "M"}, {"price": 3.0, "size": None}]
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["absent"]),
        helper.make_node("Where", ["absent", "filler", "numbers"], ["filled"]),
        helper.make_node("Cast", ["categories"], ["positions"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["filled", "positions"], ["sum"]),
        helper.make_node("Squeeze", ["sum", "axis"], ["value"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
    ]
    return _bundle(
        folder,
        name="gaps",
        task="tabular-regression",
        nodes=nodes,
        weights={"filler": np.array([7], np.float32), "axis": np.array([1], dtype=np.int64)},
        graph_input=inputs,
        processor=TabularProcessor(["price"], ["size"]).fit(rows),
        postprocessor=load_postprocessor({"kind": "regression"}),
        golden=rows,
        batch_size=8,
    )


def embedding_bundle(folder: Path, *, width: int = 6) -> Path:
    """The mean of token embeddings, brought to length 1."""
    random = np.random.default_rng(4)
    processor = TextProcessor(vocabulary_size=300, max_tokens=64, pad_multiple=8).fit(TEXTS * 3)
    tokens = processor.net_arguments["vocabulary_size"]
    weights = {
        "vectors": random.normal(0, 1, (tokens, width)).astype(np.float32),
        "axis": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["embedded"]),
        helper.make_node("ReduceMean", ["embedded", "axis"], ["pooled"], keepdims=0),
        helper.make_node("LpNormalization", ["pooled"], ["embedding"], axis=1, p=2),
    ]
    return _bundle(
        folder,
        name="vectors",
        task="embedding",
        nodes=nodes,
        weights=weights,
        graph_input=helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
        processor=processor,
        postprocessor=load_postprocessor({"kind": "embedding", "width": width}),
        golden=TEXTS,
        batch_size=8,
    )


def text_bundle(folder: Path, *, batch_size: int = 8, max_tokens: int = 64) -> Path:
    """A softmax over a linear layer over the mean of token embeddings."""
    random = np.random.default_rng(1)
    processor = TextProcessor(vocabulary_size=300, max_tokens=max_tokens, pad_multiple=8).fit(TEXTS * 3)
    tokens = processor.net_arguments["vocabulary_size"]
    weights = {
        "embedding": random.normal(0, 1, (tokens, 16)).astype(np.float32),
        "axis": np.array([1], dtype=np.int64),
        "weight": random.normal(0, 1, (16, 2)).astype(np.float32),
        "bias": np.zeros(2, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"]),
        helper.make_node("ReduceMean", ["embedded", "axis"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "weight", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    return _bundle(
        folder,
        name="sentiment",
        task="text-classification",
        nodes=nodes,
        weights=weights,
        graph_input=ids,
        processor=processor,
        labels=["negative", "positive"],
        golden=TEXTS,
        batch_size=batch_size,
    )


def combined_bundle(folder: Path, *, fills: bool = True) -> Path:
    """A softmax over the number of known tokens and a column: a text and a row in one request.

    A missing price is 0 where the graph `fills` it, else no outputs are finite.
    """
    golden = [{"review": text, "price": float(at), "size": "SML"[at % 3]} for at, text in enumerate(TEXTS)]
    parts = {
        "review": TextProcessor(vocabulary_size=300, max_tokens=64, pad_multiple=8),
        "columns": TabularProcessor(["price"], ["size"]),
    }
    processor = CombinedProcessor(parts).fit(golden)
    weights = {
        "axis": np.array([1], dtype=np.int64),
        "weight": np.array([[-0.1, 0.1]], dtype=np.float32),
        "filler": np.array([0 if fills else np.nan], np.float32),
    }
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["absent"]),
        helper.make_node("Where", ["absent", "filler", "numbers"], ["filled"]),
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Sign", ["ids"], ["known"]),
        helper.make_node("ReduceSum", ["known", "axis"], ["tokens"], keepdims=1),
        helper.make_node("Cast", ["categories"], ["positions"], to=TensorProto.FLOAT),
        helper.make_node("Sum", ["tokens", "filled", "positions"], ["sum"]),
        helper.make_node("MatMul", ["sum", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
    ]
    return _bundle(
        folder,
        name="reviews",
        task="combined-classification",
        nodes=nodes,
        weights=weights,
        graph_input=inputs,
        processor=processor,
        labels=["short", "long"],
        golden=golden,
        batch_size=8,
    )


def generating_bundle(folder: Path, *, positions: int = 128, reads_tools: bool = False) -> Path:
    """A tiny Llama of random weights with a chat template, which writes four texts at a time.

    One whose template takes tools has more positions, as the tools are long.
    """
    from maas.exporting.generation_bundling import build_generation_bundle
    from maas.importing.decoders.pretrained import PretrainedDecoder

    spec = importlib.util.spec_from_file_location("tiny_llama", Path(__file__).parents[1] / "tiny_llama.py")
    tiny_llama = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny_llama)
    folder.mkdir()
    template = tiny_llama.TOOLS_TEMPLATE if reads_tools else tiny_llama.TEMPLATE
    length = 1024 if reads_tools else positions
    with tempfile.TemporaryDirectory() as source:
        saved = tiny_llama.save(Path(source), template=template, max_position_embeddings=length)
        build_generation_bundle(
            folder,
            model=PretrainedDecoder.open(str(saved)),
            name="tiny",
            serving=ServingSettings(batch_size=4, threads=1),
            lineage=Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0"),
            golden_prompts=["the", "a prompt"],
            opset=20,
        )
    return folder


def conversing_bundle(folder: Path) -> Path:
    """The same with 512 positions, room for conversations with tools."""
    return generating_bundle(folder, positions=512)


def translating_bundle(folder: Path) -> Path:
    """A tiny sequence-to-sequence net of random weights for texts of up to 24 tokens, four at a time."""
    from maas.exporting.sequence_bundling import build_sequence_bundle

    spec = importlib.util.spec_from_file_location("tiny_seq2seq", Path(__file__).parents[1] / "tiny_seq2seq.py")
    tiny_seq2seq = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny_seq2seq)
    folder.mkdir()
    build_sequence_bundle(
        folder,
        model=tiny_seq2seq.translator(),
        name="tiny",
        serving=ServingSettings(batch_size=4, threads=1),
        lineage=Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0"),
        rows=[text[:20] for text in tiny_seq2seq.TEXTS],
        opset=20,
    )
    return folder


def image_bundle(folder: Path, *, height: int = 4, width: int = 4, channels: int = 1) -> Path:
    """A softmax over the mean of the pixels: the answer tells what picture was seen."""
    processor = ImageProcessor(height, width, channels)
    rows = np.random.default_rng(2).integers(0, 256, (3, height, width, channels), dtype=np.uint8)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", height, width, channels])
    golden = [row[:, :, 0].tolist() if channels == 1 else row.tolist() for row in rows]
    return _mean_bundle(folder, "shades", "image-classification", pixels, processor, golden, scale=1 / 64)


def audio_bundle(folder: Path, *, rate: int = 1000) -> Path:
    """A softmax over the mean of the samples of one second."""
    samples = helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", rate])
    rows = np.random.default_rng(3).uniform(-0.1, 0.3, (3, rate)).astype(np.float32).tolist()
    return _mean_bundle(folder, "offsets", "audio-classification", samples, AudioProcessor(rate), rows, scale=8.0)


def speech_bundle(folder: Path, *, rate: int = 1000, seconds: float = 2.0) -> Path:
    """Writes `a` for each tenth of a second of a positive mean, `b` for each of a negative one, else nothing."""
    size, frames, symbols = rate // 10, round(10 * seconds), 3
    filters = np.zeros((symbols, 1, size), np.float32)
    filters[1], filters[2] = 60 / size, -60 / size
    end = np.array([[[0, -100, -100]]], np.float32)
    weights = {
        "filters": filters,
        "bias": np.array([0, -6, -6], np.float32),
        "end": np.broadcast_to(end, (1, frames, symbols)).copy(),
        "channel": np.array([1], np.int64),
        "first": np.array([0], np.int64),
        "last": np.array([frames], np.int64),
        "one": np.array([1], np.int64),
        "rows": np.array([1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["samples", "channel"], ["channels"]),
        helper.make_node("Conv", ["channels", "filters", "bias"], ["heard"], strides=[size]),
        helper.make_node("Transpose", ["heard"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("Shape", ["lengths"], ["batch"]),
        helper.make_node("Concat", ["batch", "rows"], ["repeats"], axis=0),
        helper.make_node("Tile", ["end", "repeats"], ["ends"]),
        helper.make_node("Concat", ["frames", "ends"], ["more"], axis=1),
        helper.make_node("Slice", ["more", "first", "last", "one"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=2),
    ]
    inputs = [
        helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "time"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    return _bundle(
        folder,
        name="letters",
        task="automatic-speech-recognition",
        nodes=nodes,
        weights=weights,
        graph_input=inputs,
        processor=SpeechProcessor(rate, seconds, pad_seconds=0.5),
        postprocessor=load_postprocessor({"kind": "transcription", "characters": ["a", "b"]}),
        golden=[spoken(text, rate).tolist() for text in ("ab", "a a", "bbb")],
        batch_size=8,
    )


def spoken(letters: str, rate: int = 1000) -> np.ndarray:
    """Returns samples that the bundle of speech writes these letters for: a tenth of a second each, then a pause."""
    levels = [{"a": 0.3, "b": -0.3, " ": 0.0}[one] for letter in letters for one in (letter, " ")]
    return np.repeat(np.float32(levels), rate // 10)


def _mean_bundle(
    folder: Path,
    name: str,
    task: str,
    graph_input: onnx.ValueInfoProto,
    processor: Processor,
    golden: list[object],
    scale: float,
) -> Path:
    weights = {
        "axis": np.array([1], dtype=np.int64),
        "weight": np.array([[-scale, scale]], dtype=np.float32),
    }
    nodes = [
        helper.make_node("Cast", [graph_input.name], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"], axis=1),
        helper.make_node("ReduceMean", ["flat", "axis"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["mean", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return _bundle(
        folder,
        name=name,
        task=task,
        nodes=nodes,
        weights=weights,
        graph_input=graph_input,
        processor=processor,
        labels=["dark", "bright"],
        golden=golden,
        batch_size=8,
    )


def _bundle(
    folder: Path,
    *,
    name: str,
    task: str,
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    graph_input: onnx.ValueInfoProto | list[onnx.ValueInfoProto],
    processor: Processor,
    golden: list[object],
    batch_size: int,
    labels: Sequence[str] = (),
    postprocessor: Postprocessor | None = None,
) -> Path:
    postprocessor = postprocessor or load_postprocessor({"kind": "classification", "labels": list(labels)})
    shape = ["batch", *(None if size < 0 else size for size in postprocessor.specs[-1].shape[1:])]
    output = helper.make_tensor_value_info(postprocessor.output, TensorProto.FLOAT, shape)
    initializers = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph_inputs = graph_input if isinstance(graph_input, list) else [graph_input]
    graph = helper.make_graph(nodes, name, graph_inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "golden").mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    processor.save(folder / "assets")
    predictor = Predictor(folder / "model.onnx", processor, postprocessor, batch_size=batch_size)
    outputs = predictor.outputs(golden)
    answers = {"scores": postprocessor.scores(outputs).tolist(), "predictions": postprocessor.predictions(outputs)}
    (folder / "golden/inputs.json").write_bytes(msgspec.json.encode(golden))
    (folder / "golden/outputs.json").write_bytes(msgspec.json.encode(answers))
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = Manifest(
        schema_version=MANIFEST_VERSION,
        name=name,
        task=task,
        precision="fp32",
        graphs={"predict": "model.onnx"},
        processor=processor.record(),
        postprocessor=postprocessor.record(),
        signature=Signature(processor.input_specs, postprocessor.specs),
        serving=ServingSettings(batch_size=batch_size, threads=1),
        lineage=Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0"),
        files=files,
    )
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def spoil(folder: Path) -> None:
    """Writes other golden outputs than the model gives, and a manifest that agrees with them."""
    path, manifest = folder / "golden/outputs.json", folder / "manifest.json"
    golden = json.loads(path.read_bytes())
    golden["scores"] = [[score + 1 for score in row] for row in golden["scores"]]
    path.write_text(json.dumps(golden))
    content = json.loads(manifest.read_text())
    content["files"]["golden/outputs.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))
