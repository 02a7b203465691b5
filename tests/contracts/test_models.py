"""What every net in models/ keeps: logits (N, K), rows that do not see each other, padding that does not count."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import Tensor, nn

from maas import models
from maas.config.schema import FILLED
from maas.exporting.conversion import to_onnx
from maas.runtime.processors.array import Processor

FACTS = {"in_features": 12, "vocabulary_size": 60, "outputs": 5}
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


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
    return {**large, **{name: value for name, value in FACTS.items() if name in parameters}}


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


def feeds(kind: type[nn.Module], rows: int, tokens: int = 9) -> dict[str, Tensor]:
    torch.manual_seed(rows * 1000 + tokens)
    (name,) = [one for one in inspect.signature(kind.forward).parameters if one != "self"]
    if name == "input_ids":
        return {name: torch.randint(1, FACTS["vocabulary_size"], (rows, tokens))}
    assert name == "features", "a net takes features or input_ids; teach this test a new kind of feed"
    return {name: torch.rand(rows, FACTS["in_features"])}


def padded(ids: Tensor, width: int) -> Tensor:
    return nn.functional.pad(ids, (0, width - ids.shape[1]))


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
    (name,) = batch
    together = net(**batch)
    for index in range(6):
        torch.testing.assert_close(net(**{name: batch[name][index : index + 1]})[0], together[index], **TOLERANCE)
    turned = net(**{name: batch[name].flip(0)}).flip(0)
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
    ids = feeds(kind, 3, tokens)["input_ids"]
    expected = net(input_ids=padded(ids, 9))
    for width in (10, 16, 40):
        torch.testing.assert_close(net(input_ids=padded(ids, width)), expected, **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_answer_is_the_same_when_a_text_is_not_padded_at_all(kind):
    net = built(kind)
    for tokens in (1, 2, 9):
        ids = feeds(kind, 3, tokens)["input_ids"]
        torch.testing.assert_close(net(input_ids=ids), net(input_ids=padded(ids, 24)), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_short_text_is_answered_alike_when_its_batch_mates_are_long(kind):
    net = built(kind)
    short, long = feeds(kind, 1, 3)["input_ids"], feeds(kind, 1, 30)["input_ids"]
    together = net(input_ids=torch.cat([padded(short, 30), long]))
    torch.testing.assert_close(together[:1], net(input_ids=short), **TOLERANCE)


@pytest.mark.parametrize("kind", TEXT_NETS)
def test_padding_gets_no_gradient_when_a_text_is_padded(kind):
    net = built(kind)
    net(input_ids=padded(feeds(kind, 3)["input_ids"], 16)).square().sum().backward()
    for module in net.modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings == FACTS["vocabulary_size"]:
            assert module.weight.grad[0].abs().max() == 0


@pytest.mark.parametrize("kind", SHIPPED)
def test_net_exports_with_dynamic_axes_when_it_is_saved_as_a_checkpoint(kind, save, text_processor, tmp_path):
    import onnxruntime as ort

    arguments = arguments_of(kind)
    processor = text_processor if kind in TEXT_NETS else Processor([FACTS["in_features"]])
    net = built(kind)
    labels = tuple("abcde")
    checkpoint = save(tmp_path / "train", net, processor, f"{kind.__module__}.{kind.__qualname__}", labels, **arguments)
    examples = {name: tensor.numpy() for name, tensor in feeds(kind, 3, 16).items()}
    session = ort.InferenceSession(
        to_onnx(checkpoint, examples, tmp_path / "model.onnx", 20), providers=["CPUExecutionProvider"]
    )
    for rows, tokens in ((1, 8), (5, 24)):
        batch = feeds(kind, rows, tokens)
        found = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        torch.testing.assert_close(torch.from_numpy(found), net(**batch).softmax(dim=1).detach(), rtol=0, atol=1e-5)
