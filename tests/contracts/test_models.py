"""What every net in models/ keeps: logits (N, K), rows that do not see each other, padding that does not count."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import Tensor, nn

from maas import models
from maas.config.schema import FILLED
from maas.exporting import hugging_face, torch_onnx
from maas.exporting.conversion import to_onnx
from maas.runtime.processors.array import Processor
from maas.runtime.processors.audio import Processor as Audio
from maas.runtime.processors.image import Processor as Image
from maas.runtime.processors.pretrained_text import Processor as PretrainedText
from maas.runtime.processors.tabular import Processor as Tabular
from maas.training.families import family_of

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
    net = kind(**arguments_of(kind)).eval()
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
"""Feeds by the required arguments of a net's `forward`; a new kind of feed adds its own here."""


def feeds(kind: type[nn.Module], rows: int, tokens: int = 9) -> dict[str, Tensor]:
    torch.manual_seed(rows * 1000 + tokens)
    parameters = [one for one in inspect.signature(kind.forward).parameters.values() if one.name != "self"]
    required = [one.name for one in parameters if one.default is one.empty]
    return MAKERS[" ".join(required or [one.name for one in parameters])](rows, tokens)


def padded(batch: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    return {name: nn.functional.pad(one, (0, width - one.shape[1])) for name, one in batch.items()}


def part(batch: dict[str, Tensor], rows: slice) -> dict[str, Tensor]:
    return {name: one[rows] for name, one in batch.items()}


@pytest.mark.parametrize("name", FILES)
def test_file_holds_a_net_when_it_is_read(name):
    assert nets_of(name)


@pytest.mark.parametrize("kind", NETS)
def test_arguments_have_defaults_when_neither_data_nor_processor_tells_them(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert {one.name for one in parameters if one.default is one.empty} <= FILLED


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_logits_are_rows_by_outputs_when_rows_are_given(kind, rows):
    logits = built(kind)(**feeds(kind, rows))
    assert logits.shape == (rows, FACTS["outputs"])
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("kind", NETS)
def test_row_is_answered_alike_when_its_batch_mates_change(kind):
    net, batch = built(kind), feeds(kind, 6)
    together = net(**batch)
    for index in range(6):
        alone = net(**part(batch, slice(index, index + 1)))
        torch.testing.assert_close(alone[0], together[index], **TOLERANCE)
    turned = net(**{name: one.flip(0) for name, one in batch.items()}).flip(0)
    torch.testing.assert_close(turned, together, **TOLERANCE)


@pytest.mark.parametrize("kind", NETS)
def test_net_learns_when_a_gradient_step_is_taken(kind):
    net = built(kind).train()
    batch, targets = feeds(kind, 4), torch.tensor([0, 1, 2, 3])
    nn.functional.cross_entropy(net(**batch), targets).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("kind", TEXT_NETS)
@pytest.mark.parametrize("tokens", [1, 2, 9])
def test_answer_is_the_same_when_a_text_is_padded_further(kind, tokens):
    net = built(kind)
    batch = feeds(kind, 3, tokens)
    expected = net(**padded(batch, 9))
    for width in (10, 16, 40):
        torch.testing.assert_close(net(**padded(batch, width)), expected, **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_answer_is_the_same_when_a_text_is_not_padded_at_all(kind):
    net = built(kind)
    for tokens in (1, 2, 9):
        batch = feeds(kind, 3, tokens)
        torch.testing.assert_close(net(**batch), net(**padded(batch, 24)), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_short_text_is_answered_alike_when_its_batch_mates_are_long(kind):
    net = built(kind)
    short, long = feeds(kind, 1, 3), feeds(kind, 1, 30)
    together = net(**{name: torch.cat([one, long[name]]) for name, one in padded(short, 30).items()})
    torch.testing.assert_close(together[:1], net(**short), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_padding_gets_no_gradient_when_a_text_is_padded(kind):
    net = built(kind)
    net(**padded(feeds(kind, 3), 16)).square().sum().backward()
    for module in net.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            assert module.weight.grad[0].abs().max() == 0


def processor_of(kind: type[nn.Module], text_processor):
    """Returns a processor that gives a net's feeds."""
    if "input_ids" in (batch := feeds(kind, 2)):
        return PretrainedText(tokenizer="", feeds=list(batch)) if len(batch) > 1 else text_processor
    columns = {"numbers": ["a", "b"], "categories": ["c", "d", "e"]}
    return {
        "features": Processor([FACTS["in_features"]]),
        "pixels": Image(height=20, width=24, channels=3),
        "samples": Audio(rate=8000, seconds=0.5),
        "numbers": Tabular(**columns),
    }[next(iter(batch))]


@pytest.mark.parametrize("kind", SHIPPED)
def test_net_exports_with_dynamic_axes_when_it_is_saved_as_a_checkpoint(kind, save, text_processor, tmp_path):
    import onnxruntime as ort

    arguments, net = arguments_of(kind), built(kind)
    examples = {name: tensor.numpy() for name, tensor in feeds(kind, 3, 16).items()}
    processor = processor_of(kind, text_processor)
    family, path = family_of("classification", tuple("abcde")), tmp_path / "model.onnx"
    write = hugging_face.write_onnx if hasattr(net, "hugging_face") else torch_onnx.write_onnx
    if hasattr(net, "hugging_face"):
        write(net, family, examples=examples, axes=processor.dynamic_axes, output="probabilities", out=path, opset=20)
    else:
        target = f"{kind.__module__}.{kind.__qualname__}"
        to_onnx(save(tmp_path / "train", net, processor, target, tuple("abcde"), **arguments), examples, path, 20)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows, tokens in ((1, 8), (5, 24)):
        batch = feeds(kind, rows, tokens)
        found = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        torch.testing.assert_close(torch.from_numpy(found), net(**batch).softmax(dim=1).detach(), rtol=0, atol=1e-5)
