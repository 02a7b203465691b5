"""What every net in models/ keeps: logits (N, K), rows that do not see each other, padding that does not count."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor, nn

from maas import models
from maas.config.schema import FILLED
from maas.exporting.bundling import build_bundle
from maas.exporting.conversion import to_onnx
from maas.models.mlp import MLP
from maas.records.manifest import ServingSettings
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.audio import AudioProcessor
from maas.runtime.processors.combined import CombinedProcessor
from maas.runtime.processors.image import ImageProcessor
from maas.runtime.processors.pretrained_text import PretrainedTextProcessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor
from maas.training.checkpoint import NetRecord
from maas.training.evaluation import run_of, scores_of
from maas.training.nets import finished, types_of

FACTS = {
    "in_features": 12, "vocabulary_size": 60, "outputs": 5, "in_channels": 3, "height": 20, "width": 24, "rate": 8000,
    "samples": 4000, "number_means": [1.0, -20.0], "number_deviations": [2.0, 30.0], "category_sizes": [4, 7, 3],
    "target_mean": 0.0, "target_deviation": 1.0,
}  # fmt: skip
"""What data and processor would tell."""
TINY_BERT = {"model_type": "bert", "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
             "num_labels": 5}  # fmt: skip
GIVEN = {"SequenceClassifier": {"config": TINY_BERT}}
"""What a recipe must say for nets that come pretrained; here they come small and random."""
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def nets_of(name: str) -> list[type[nn.Module]]:
    """Returns the nets of a file: its public modules that are told the number of outputs."""
    module = importlib.import_module(f"{models.__name__}.{name}")
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if one.__module__ == module.__name__
        and issubclass(one, nn.Module)
        and not one.__name__.startswith("_")
        and "outputs" in inspect.signature(one).parameters
        and not {"lengths", "exclude"} & inspect.signature(one.forward).parameters.keys()
    ]


OTHER_NETS = {
    "tokens": "test_language_models.py",  # logits for each token
    "lengths": "test_transcribing.py",  # for each frame
    "exclude": "test_two_tower.py",  # of items, of which a row leaves some out
}
"""Where nets are tested that give other logits than one row of them: by an argument of their `forward`."""


def other_nets_of(name: str, argument: str) -> list[type[nn.Module]]:
    """Returns the nets of a file whose `forward` takes an argument of `OTHER_NETS`."""
    module = importlib.import_module(f"{models.__name__}.{name}")
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if one.__module__ == module.__name__
        and issubclass(one, nn.Module)
        and argument in inspect.signature(one.forward).parameters
    ]


FILES = sorted(module.name for module in pkgutil.iter_modules(models.__path__))
NETS = [net for name in FILES for net in nets_of(name)]
SHIPPED = [
    net
    for name in FILES
    for net in [one for one in nets_of(name) if one.__name__.lower() == name.replace("_", "")] or nets_of(name)
]
"""The net that each file is named after; its parts are exported inside it."""
TEXT_NETS = [net for net in NETS if "input_ids" in inspect.signature(net.forward).parameters]


def arguments_of(kind: type[nn.Module]) -> dict[str, int]:
    """Returns what data and processor would tell; tables of many rows are made small, for speed."""
    parameters = inspect.signature(kind).parameters
    large = {name: 512 for name, one in parameters.items() if type(one.default) is int and one.default > 4096}
    facts = {name: value for name, value in FACTS.items() if name in parameters and name in FILLED}
    told = {name: value for name, value in facts.items() if name != "width" or is_filled_width(parameters)}
    return {**large, **told, **GIVEN.get(kind.__name__, {})}


def is_filled_width(parameters: dict[str, inspect.Parameter]) -> bool:
    """Tells pixels' width from a net's own."""
    return "height" in parameters


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return moved(kind(**arguments_of(kind)))


def moved(net: nn.Module) -> nn.Module:
    """Returns a net in evaluation mode, as training might leave it."""
    net = net.eval()
    with torch.no_grad():  # whatever begins at zero is moved, so that nothing is hidden by it
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for module in net.modules():
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0
    return net


def tokens_of(rows: int, tokens: int) -> Tensor:
    return torch.randint(1, FACTS["vocabulary_size"], (rows, tokens))


def columns_of(rows: int) -> dict[str, Tensor]:
    numbers = torch.randn(rows, 2) * torch.tensor([2.0, 30.0])
    numbers[::3, 1] = torch.nan
    return {"numbers": numbers, "categories": torch.stack([torch.randint(0, size, (rows,)) for size in (4, 7, 3)], 1)}


MAKERS = {
    "input_ids": lambda rows, tokens: {"input_ids": tokens_of(rows, tokens)},
    "features": lambda rows, _: {"features": torch.rand(rows, FACTS["in_features"])},
    "pixels": lambda rows, _: {"pixels": torch.randint(0, 256, (rows, 20, 24, 3), dtype=torch.uint8)},
    "samples": lambda rows, _: {"samples": 0.2 * torch.randn(rows, FACTS["samples"])},
    "numbers categories": lambda rows, _: columns_of(rows),
    "input_ids attention_mask": lambda rows, tokens: {
        "input_ids": tokens_of(rows, tokens),
        "attention_mask": torch.ones(rows, tokens, dtype=torch.int64),
    },
}
"""Model inputs by the required arguments of a net's `forward`; a new kind of model input adds its own here."""


def model_inputs(kind: type[nn.Module], rows: int, tokens: int = 9) -> dict[str, Tensor]:
    torch.manual_seed(rows * 1000 + tokens)
    parameters = [one for one in inspect.signature(kind.forward).parameters.values() if one.name != "self"]
    required = [one.name for one in parameters if one.default is one.empty]
    beside = columns_of(rows) if "input_ids" in required and any(one.name == "numbers" for one in parameters) else {}
    return {**MAKERS[" ".join(required or [one.name for one in parameters])](rows, tokens), **beside}


def padded(batch: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    columns = {name: one for name, one in batch.items() if name in ("numbers", "categories")}
    tokens = {name: one for name, one in batch.items() if name not in columns}
    return {**{name: nn.functional.pad(one, (0, width - one.shape[1])) for name, one in tokens.items()}, **columns}


def part(batch: dict[str, Tensor], rows: slice) -> dict[str, Tensor]:
    return {name: one[rows] for name, one in batch.items()}


@pytest.mark.parametrize("name", FILES)
def test_file_holds_a_net_when_it_is_read(name):
    assert nets_of(name) or any(other_nets_of(name, argument) for argument in OTHER_NETS)


@pytest.mark.parametrize("kind", NETS)
def test_arguments_have_defaults_when_neither_data_nor_processor_tells_them(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert {one.name for one in parameters if one.default is one.empty} <= FILLED


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_logits_are_rows_by_outputs_when_rows_are_given(kind, rows):
    logits = built(kind)(**model_inputs(kind, rows))
    assert logits.shape == (rows, FACTS["outputs"])
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("kind", NETS)
def test_row_is_answered_alike_when_its_batch_mates_change(kind):
    net, batch = built(kind), model_inputs(kind, 6)
    together = net(**batch)
    for index in range(6):
        alone = net(**part(batch, slice(index, index + 1)))
        torch.testing.assert_close(alone[0], together[index], **TOLERANCE)
    turned = net(**{name: one.flip(0) for name, one in batch.items()}).flip(0)
    torch.testing.assert_close(turned, together, **TOLERANCE)


@pytest.mark.parametrize("kind", NETS)
def test_net_learns_when_a_gradient_step_is_taken(kind):
    net = built(kind).train()
    batch, targets = model_inputs(kind, 4), torch.tensor([0, 1, 2, 3])
    nn.functional.cross_entropy(net(**batch), targets).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("kind", TEXT_NETS)
@pytest.mark.parametrize("tokens", [1, 2, 9])
def test_answer_is_the_same_when_a_text_is_padded_further(kind, tokens):
    net = built(kind)
    batch = model_inputs(kind, 3, tokens)
    expected = net(**padded(batch, 9))
    for width in (10, 16, 40):
        torch.testing.assert_close(net(**padded(batch, width)), expected, **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_answer_is_the_same_when_a_text_is_not_padded_at_all(kind):
    net = built(kind)
    for tokens in (1, 2, 9):
        batch = model_inputs(kind, 3, tokens)
        torch.testing.assert_close(net(**batch), net(**padded(batch, 24)), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_short_text_is_answered_alike_when_its_batch_mates_are_long(kind):
    net = built(kind)
    short, long = model_inputs(kind, 1, 3), model_inputs(kind, 1, 30)
    together = net(**{name: torch.cat([one, long[name]]) for name, one in padded(short, 30).items()})
    torch.testing.assert_close(together[:1], net(**short), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_padding_gets_no_gradient_when_a_text_is_padded(kind):
    net = built(kind)
    net(**padded(model_inputs(kind, 3), 16)).square().sum().backward()
    for module in net.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            assert module.weight.grad[0].abs().max() == 0


WORDS = [f"word{number}" for number in range(FACTS["vocabulary_size"] - 2)]


def tokenizer() -> str:
    """Returns a `tokenizer.json` of as many tokens as the small pretrained net knows."""
    words = {word: position for position, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    made = Tokenizer(WordLevel(words, "[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    return made.to_str()


def raw_rows(kind: type[nn.Module]) -> list[Any]:
    """Returns rows as a client would send them, of several lengths and with missing values."""
    return rows_of(set(model_inputs(kind, 2)))


def rows_of(names: set[str]) -> list[Any]:
    random = np.random.default_rng(0)
    if {"input_ids", "numbers"} <= names:
        texts, columns = rows_of({"input_ids"}), rows_of({"numbers"})
        return [{**row, "text": texts[index % len(texts)]} for index, row in enumerate(columns)]
    if "input_ids" in names:
        return [" ".join(random.choice(WORDS, count)) for count in (1, 2, 3, 7, 8, 9, 20)]
    if "pixels" in names:
        return [random.integers(0, 256, (20, 24, 3), dtype=np.uint8) for _ in range(5)]
    if "samples" in names:
        return [{"samples": (0.2 * random.normal(size=count)).tolist(), "rate": 8000} for count in (4000, 3000, 5000)]
    if "numbers" in names:
        sizes = zip("cde", FACTS["category_sizes"], strict=True)
        rows = {name: [f"{name}{number % (size - 1)}" for number in range(18)] for name, size in sizes}
        numbers = {"a": random.normal(1, 2, 18).tolist(), "b": random.normal(-20, 30, 18).tolist()}
        gaps = [{"a": None, "b": 3.0, "c": "c0", "d": None, "e": "unseen"}]
        return [{name: column[index] for name, column in (numbers | rows).items()} for index in range(18)] + gaps
    return random.random((6, FACTS["in_features"])).tolist()


def processor_of(kind: type[nn.Module], rows: list[Any]) -> Any:
    """Returns a processor that gives a net's model inputs, and knows these rows."""
    columns = {"numbers": ["a", "b"], "categories": ["c", "d", "e"]}
    batch = model_inputs(kind, 2)
    if {"input_ids", "numbers"} <= batch.keys():
        text = TextProcessor(vocabulary_size=200, max_tokens=64, pad_multiple=8, algorithm="words")
        known = text.fit([" ".join(WORDS)] * 3)
        table = TabularProcessor(**columns).fit([{name: row[name] for name in "abcde"} for row in rows])
        return CombinedProcessor({"text": known, "columns": table})
    if "input_ids" in batch:
        if len(batch) > 1:
            return PretrainedTextProcessor(tokenizer="", model_inputs=list(batch), content=tokenizer())
        return TextProcessor(vocabulary_size=200, max_tokens=64, pad_multiple=8, algorithm="words").fit(
            [" ".join(WORDS)] * 3
        )
    return {
        "features": ArrayProcessor([FACTS["in_features"]]),
        "pixels": ImageProcessor(height=20, width=24, channels=3),
        "samples": AudioProcessor(rate=8000, seconds=0.5),
        "numbers": TabularProcessor(**columns),
    }[next(iter(batch))].fit(rows)


TASKS = {
    "classification": (tuple("abcde"), FACTS["outputs"]),
    "binary": (("no", "yes"), 1),
    "multilabel": (tuple("abcde"), FACTS["outputs"]),
    "regression": ((), 1),
    "embedding": ((), FACTS["outputs"]),
}
"""Labels and outputs."""
CROSSED = [
    pytest.param(kind, task, marks=[] if task == "classification" or kind is MLP else [pytest.mark.slow])
    for kind in SHIPPED
    for task in TASKS
]


class Exported(NamedTuple):
    net: nn.Module
    processor: Any
    checkpoint: Any
    path: Path
    rows: list[Any]


@pytest.fixture(scope="module")
def exported(save, tmp_path_factory) -> Callable[[type[nn.Module], str], Exported]:
    """Gives a net of a task, its checkpoint and its ONNX file: each is made once."""

    @cache
    def make(kind: type[nn.Module], task: str) -> Exported:
        labels, outputs = TASKS[task]
        rows = raw_rows(kind)
        processor = processor_of(kind, rows)
        told = {name: value for name, value in processor.net_arguments.items() if name in arguments_of(kind)}
        arguments = {**arguments_of(kind), **told, "outputs": outputs}
        record = NetRecord(f"{kind.__module__}.{kind.__qualname__}", arguments)
        net = kind(**arguments)
        net, record = finished(moved(net), record, types_of(net))
        folder = tmp_path_factory.mktemp(kind.__name__)
        checkpoint = save(
            folder / "train", net, processor, record.target, labels, rows, task=task, arguments=record.arguments
        )
        examples = processor.batch(processor.preprocess(rows[-3:]))
        return Exported(net, processor, checkpoint, to_onnx(checkpoint, examples, folder / "model.onnx", 20), rows)

    return make


@pytest.mark.parametrize("kind", SHIPPED)
def test_net_exports_with_dynamic_axes_when_it_is_saved_as_a_checkpoint(kind, exported):
    import onnxruntime as ort

    made = exported(kind, "classification")
    session = ort.InferenceSession(made.path, providers=["CPUExecutionProvider"])
    for rows, tokens in ((1, 8), (5, 24)):
        batch = model_inputs(kind, rows, tokens)
        found = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        torch.testing.assert_close(
            torch.from_numpy(found), made.net(**batch).softmax(dim=1).detach(), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize(("kind", "task"), CROSSED)
def test_net_checkpoint_bundle_and_server_answer_alike_when_rows_are_raw(
    kind, task, exported, served_alike, lineage, tmp_path
):
    net, processor, checkpoint, path, rows = exported(kind, task)
    (tmp_path / "bundle").mkdir()
    bundle = build_bundle(
        tmp_path / "bundle",
        model=path,
        name="small",
        task=f"{processor.modality}-{checkpoint.postprocessor().kind}",
        precision="fp32",
        processor=processor,
        postprocessor=checkpoint.postprocessor(),
        serving=ServingSettings(),
        lineage=lineage,
        golden_rows=rows[:2],
    )
    postprocessor = checkpoint.postprocessor()
    in_memory = scores_of(run_of(net, checkpoint.task_head(), postprocessor.output), postprocessor, processor, rows)
    reopened = scores_of(checkpoint.run(), postprocessor, checkpoint.processor(), rows)
    np.testing.assert_array_equal(reopened, in_memory)
    scale = max(1.0, float(np.abs(in_memory).max()))
    np.testing.assert_allclose(bundle.predictor.scores(rows), in_memory, rtol=0, atol=1e-5 * scale)
    assert served_alike(bundle, rows)
