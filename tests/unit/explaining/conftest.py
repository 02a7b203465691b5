"""Linear models over every kind of input: real ONNX files, of which the right attributions are known."""

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from maas.explaining import parts
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.base import processor_class

TEXTS = ["这是一个很棒的文本", "质量太差了，非常失望", "a very good film, never bad", "iPhone很好用"]
ANSWERS = {"classification": {"labels": ["no", "yes"]}, "regression": {}, "embedding": {"width": 2}}

Nodes = list[onnx.NodeProto]


class Linear(NamedTuple):
    """A graph from the model inputs to `straight` (N, 1), a row, and what each default part of it adds to that."""

    processor: Any
    nodes: Nodes
    inputs: dict[str, tuple[int, list]]
    weights: dict[str, np.ndarray]
    row: Any
    expected: np.ndarray


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


SCORES = {
    "linear": [node("Identity", ["straight"], "score")],
    "bent": [node("Tanh", ["straight"], "curve"), node("Mul", ["curve", "straight"], "score")],
}
"""From `straight` to `score`; where it is bent, every part matters to every other."""

ENDINGS = {
    "classification": [
        node("Neg", ["score"], "against"),
        node("Concat", ["against", "score"], "both", axis=1),
        node("Softmax", ["both"], "probabilities"),
    ],
    "regression": [node("Squeeze", ["score", "one"], "value")],
    "embedding": [
        node("Sub", ["one_float", "score"], "other"),
        node("Concat", ["other", "score"], "embedding", axis=1),
    ],
}
"""From `score` (N, 1) to the output of each kind of prediction; the log-odds of `yes` are twice the score."""


def processor_of(kind: str, **settings: Any) -> Any:
    return processor_class(kind)(**settings)


def normal(shape: tuple[int, ...], deviation: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, shape).astype(np.float32)


def array() -> Linear:
    row, weight = normal((2, 3), 1, 1), normal((6, 1), 1)
    nodes = [node("Flatten", ["features"], "flat"), node("MatMul", ["flat", "weight"], "straight")]
    inputs = {"features": (TensorProto.FLOAT, ["batch", 2, 3])}
    expected = weight[:, 0] * row.ravel()
    return Linear(processor_of("array", shape=[2, 3]), nodes, inputs, {"weight": weight}, row.tolist(), expected)


def image() -> Linear:
    """Twenty pixels down and 15 across in colour: patches of a grid of 8 × 6."""
    pixels = np.random.default_rng(1).integers(0, 256, (20, 15, 3)).astype(np.uint8)
    weight = normal(pixels.shape, 0.05)
    nodes = [
        node("Cast", ["pixels"], "numbers", to=TensorProto.FLOAT),
        node("Div", ["numbers", "full"], "scaled"),
        node("Flatten", ["scaled"], "flat"),
        node("MatMul", ["flat", "weight"], "straight"),
    ]
    each = weight * (pixels - pixels.mean(axis=(0, 1)).round()) / 255
    tops, lefts = ((np.arange(size + 1) * extent / size).astype(int) for size, extent in ((8, 20), (6, 15)))
    expected = np.add.reduceat(np.add.reduceat(each.sum(axis=2), tops[:-1], axis=0), lefts[:-1], axis=1).ravel()
    return Linear(
        processor_of("image", height=20, width=15, channels=3),
        nodes,
        {"pixels": (TensorProto.UINT8, ["batch", 20, 15, 3])},
        {"weight": weight.reshape(-1, 1), "full": np.array([255], dtype=np.float32)},
        pixels.tolist(),
        expected,
    )


def audio() -> Linear:
    """A second of noise at 8 kHz: twenty windows of 400 samples, faded over 40."""
    samples = np.clip(normal((8000,), 0.2, 1), -1, 1)
    weight = normal((8000, 1), 0.1)
    edges = np.arange(1, 20) * 400
    places = np.arange(8000)
    rising = np.array([np.clip((places - (edge - 20)) / 40, 0, 1) for edge in edges])
    after, before = np.vstack([np.ones((1, 8000)), rising]), np.vstack([rising, np.zeros((1, 8000))])
    return Linear(
        processor_of("audio", rate=8000, seconds=1.0),
        [node("MatMul", ["samples", "weight"], "straight")],
        {"samples": (TensorProto.FLOAT, ["batch", 8000])},
        {"weight": weight},
        samples,
        (after - before) @ (samples * weight[:, 0]),
    )


def tabular() -> Linear:
    """Two numbers, filled up with their means where missing, and a category whose unknown value weighs nothing."""
    rows = [{"speed": 3.0, "town": "B", "delay": -1.0}, {"speed": 5.0, "town": "A", "delay": None}] * 3
    processor = processor_of("tabular", numbers=["speed", "delay"], categories=["town"]).fit(rows)
    weights = {
        "means": np.array(processor.net_arguments["number_means"], dtype=np.float32),
        "weight": np.array([[0.4], [-0.7]], dtype=np.float32),
        "towns": np.array([[0.0], [-0.2], [0.3]], dtype=np.float32),
    }
    nodes = [
        node("IsNaN", ["numbers"], "is_missing"),
        node("Where", ["is_missing", "means", "numbers"], "filled"),
        node("MatMul", ["filled", "weight"], "of_numbers"),
        node("Gather", ["towns", "categories"], "each"),
        node("Squeeze", ["each", "one"], "of_town"),
        node("Add", ["of_numbers", "of_town"], "straight"),
    ]
    inputs = {"numbers": (TensorProto.FLOAT, ["batch", 2]), "categories": (TensorProto.INT64, ["batch", 1])}
    expected = np.array([0.4 * (3 - 4), -0.7 * (7 - -1), 0.3])  # B is as frequent as A, and so comes second
    return Linear(processor, nodes, inputs, weights, {"speed": 3.0, "delay": 7, "town": "B"}, expected)


def text() -> Linear:
    processor = processor_of("text", vocabulary_size=300, pad_multiple=8).fit(TEXTS * 3)
    weight = normal((processor.net_arguments["vocabulary_size"], 1), 0.3)
    weight[:2] = 0  # padding and unknown
    return of_tokens(processor, weight)


def pretrained_text() -> Linear:
    return of_tokens(pretrained(), normal((100, 1), 0.3) * (np.arange(100) > 2)[:, None].astype(np.float32))


def items() -> Linear:
    """The sum of one weight an item, the oldest first; what pads weighs nothing, and what is unknown is no part."""
    processor = processor_of("items", pad_multiple=4).fit([list("abcdef")])
    weight = np.append(normal((6,), 0.3), 0).astype(np.float32)[:, None]
    nodes = [
        node("Gather", ["weight", "items"], "each"),
        node("ReduceSum", ["each", "one"], "straight", keepdims=0),
    ]
    inputs = {
        "items": (TensorProto.INT64, ["batch", "items"]),
        "exclude": (TensorProto.BOOL, ["batch"]),
        "top_k": (TensorProto.INT64, ["batch"]),
    }
    return Linear(processor, nodes, inputs, {"weight": weight}, ["c", "unknown", "e", "f"], weight[[2, 4, 5], 0])


def combined() -> Linear:
    """The sum of what a text and a row of columns add."""
    parts = {"text": text(), "columns": tabular()}
    nodes, inputs, weights = [], {}, {}
    for name, part in parts.items():
        own = {value: f"{name}_{value}" for one in part.nodes for value in [*one.input, *one.output]}
        own |= {value: value for value in [*part.inputs, "one"]}
        for one in part.nodes:
            renamed = onnx.NodeProto()
            renamed.CopyFrom(one)
            renamed.input[:], renamed.output[:] = (
                [own[value] for value in one.input],
                [own[value] for value in one.output],
            )
            nodes.append(renamed)
        inputs |= part.inputs
        weights |= {f"{name}_{value}": array for value, array in part.weights.items()}
    nodes.append(node("Add", ["text_straight", "columns_straight"], "straight"))
    processor = processor_of("combined", parts={name: part.processor for name, part in parts.items()})
    row = {"text": parts["text"].row, **parts["columns"].row}
    return Linear(processor, nodes, inputs, weights, row, np.concatenate([part.expected for part in parts.values()]))


def of_tokens(processor: Any, weight: np.ndarray) -> Linear:
    """The sum of one weight a token."""
    row = TEXTS[1]
    nodes = [
        node("Gather", ["weight", "input_ids"], "each"),
        node("ReduceSum", ["each", "one"], "straight", keepdims=0),
    ]
    inputs = {name: (TensorProto.INT64, ["batch", "tokens"]) for name in processor.dynamic_axes}
    expected = [weight[processor.arrays([character])[0], 0].sum() for character in row]
    return Linear(processor, nodes, inputs, {"weight": weight}, row, np.array(expected))


def pretrained(**settings: Any) -> Any:
    """A processor around a tokenizer that knows the characters of the texts, and puts signs before and after."""
    vocabulary = {sign: index for index, sign in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"".join(TEXTS)])}
    vocabulary = {sign: index for index, sign in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(sign, vocabulary[sign]) for sign in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=special)
    return processor_of("pretrained_text", tokenizer="none", content=tokenizer.to_str(), **settings)


def written(path: Path, linear: Linear, kind: str, score: str) -> Path:
    constants = {**linear.weights, "one": np.array([1]), "one_float": np.array([[1]], dtype=np.float32)}
    output = load_postprocessor({"kind": kind, **ANSWERS[kind]}).output
    graph = helper.make_graph(
        [*linear.nodes, *SCORES[score], *ENDINGS[kind]],
        "linear",
        [helper.make_tensor_value_info(name, *spec) for name, spec in linear.inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture
def predictor_of(tmp_path) -> Callable[..., Predictor]:
    """`predictor_of(linear, kind, score=…)`: a predictor of such a model that gives a kind of prediction."""

    def make(linear: Linear, kind: str = "classification", *, score: str = "linear", batch_size: int = 8) -> Predictor:
        path = written(tmp_path / f"{kind}_{score}.onnx", linear, kind, score)
        return Predictor(
            path, linear.processor, load_postprocessor({"kind": kind, **ANSWERS[kind]}), batch_size=batch_size
        )

    return make


KINDS = sorted(module.name for module in pkgutil.iter_modules(parts.__path__) if module.name != "base")
LINEAR = {one.__name__: one for one in (array, audio, combined, image, items, pretrained_text, tabular, text)}
"""A linear model of each kind of processor; a new kind adds its own here."""


@pytest.fixture(params=KINDS)
def linear(request) -> Linear:
    return LINEAR[request.param]()


@pytest.fixture
def linear_of() -> Callable[[str], Linear]:
    return lambda kind: LINEAR[kind]()
