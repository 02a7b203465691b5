"""The net over mixed columns against its formula, with missing, unknown and absent columns."""

import math

import onnxruntime as ort
import pytest
import torch
from torch import nn

from maas.exporting.conversion import to_onnx
from maas.models.tabular_mlp import TabularMLP, embedding_width
from maas.runtime.processors.tabular import TabularProcessor

MEANS, DEVIATIONS, SIZES = [10.0, -3.0], [2.0, 0.5], [4, 200]
COLUMNS = [(MEANS, DEVIATIONS, SIZES), (MEANS, DEVIATIONS, []), ([], [], SIZES)]


def built(columns=COLUMNS[0], outputs: int = 3, **arguments) -> TabularMLP:
    torch.manual_seed(0)
    return TabularMLP(*columns, outputs, **arguments).eval()


def model_inputs(net: TabularMLP, rows: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(rows)
    found = {}
    if net.means.numel():
        found["numbers"] = 5 * torch.randn(rows, 2)
        found["numbers"][::2, 1] = math.nan
    if len(net.embeddings):
        found["categories"] = torch.stack([torch.randint(0, size, (rows,)) for size in SIZES], dim=1)
    return found


def by_formula(net: TabularMLP, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
    """y = μ + σ·head(body(v)), row by row, value by value."""
    rows = []
    for row, positions in zip(numbers.tolist(), categories.tolist(), strict=True):
        scaled = [0.0 if math.isnan(x) else (x - m) / s for x, m, s in zip(row, MEANS, DEVIATIONS, strict=True)]
        vectors = [table.weight[one] for table, one in zip(net.embeddings, positions, strict=True)]
        value = torch.cat([torch.tensor([*scaled, *map(float, map(math.isnan, row))]), *vectors])
        for layer in net.body:
            value = layer(value[None])[0]
        rows.append(net.target_mean + net.target_deviation * (net.head.weight @ value + net.head.bias))
    return torch.stack(rows)


@pytest.mark.parametrize("arguments", [{}, {"activation": "gelu"}, {"hidden": []}, {"batch_norm": True}])
def test_outputs_follow_the_formula_when_numbers_are_missing(arguments):
    net = built(**arguments, target_mean=7.0, target_deviation=40.0)
    nn.init.normal_(net.embeddings[0].weight)
    torch.testing.assert_close(net(**model_inputs(net)), by_formula(net, **model_inputs(net)), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("columns", COLUMNS)
def test_kind_of_column_is_left_out_when_there_is_none(columns):
    net = built(columns)
    assert net(**model_inputs(net)).shape == (6, 3)


def test_missing_number_counts_as_its_mean_when_training_met_none():
    net = built()
    mean = {"numbers": torch.tensor([MEANS]), "categories": torch.tensor([[1, 5]])}
    missing = {**mean, "numbers": torch.full((1, 2), math.nan)}
    torch.testing.assert_close(net(**missing), net(**mean), rtol=0, atol=0)


def test_unknown_category_adds_nothing_when_training_met_none():
    assert all(table.weight[0].abs().max() == 0 for table in built().embeddings)
    assert all(table.weight[1].abs().max() > 0 for table in built().embeddings)


@pytest.mark.parametrize(("size", "width"), [(1, 2), (2, 2), (4, 3), (20, 9), (200, 31), (100_000, 50)])
def test_width_follows_the_rule_when_a_column_has_many_categories(size, width):
    assert embedding_width(size) == width
    assert [table.embedding_dim for table in built(([], [], [size])).embeddings] == [width]


def test_gradients_are_finite_when_numbers_are_missing():
    net = built(batch_norm=True, dropout=0.5).train()
    net(**model_inputs(net)).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_outputs_are_in_the_targets_unit_when_training_has_not_begun():
    net = built(outputs=1, target_mean=1000.0, target_deviation=5.0)
    assert (net(**model_inputs(net)) - 1000).abs().max() < 50


def test_regression_is_learnt_when_its_target_is_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(512, 1, generator=generator)
    categories = torch.randint(0, 3, (512, 1), generator=generator)
    targets = 500 + 30 * numbers + 60 * (categories == 2)
    torch.manual_seed(0)
    net = TabularMLP([0.0], [1.0], [3], 1, hidden=[32], target_mean=520.0, target_deviation=40.0)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(numbers, categories), targets).backward()
        optimizer.step()
    residual = (net(numbers, categories) - targets).square().mean()
    assert residual / targets.var() < 0.01


@pytest.mark.parametrize("columns", COLUMNS[1:], ids=["numbers", "categories"])
def test_graph_answers_as_the_net_when_a_kind_of_column_is_left_out(columns, save, tmp_path):
    names = dict(zip(("number_means", "number_deviations", "category_sizes"), columns, strict=True))
    arguments = {**names, "outputs": 3, "batch_norm": True, "activation": "gelu"}
    net, path = built(columns, batch_norm=True, activation="gelu"), tmp_path / "model.onnx"
    processor = TabularProcessor(**{"numbers": ["a", "b"]} if columns[0] else {"categories": ["a", "b"]})
    target = f"{TabularMLP.__module__}.{TabularMLP.__qualname__}"
    checkpoint = save(tmp_path / "train", net, processor, target, ("x", "y", "z"), **arguments)
    session = ort.InferenceSession(
        to_onnx(checkpoint, {name: tensor.numpy() for name, tensor in model_inputs(net).items()}, path, 20),
        providers=["CPUExecutionProvider"],
    )
    for rows in (1, 9):
        batch = model_inputs(net, rows)
        found = session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0]
        torch.testing.assert_close(torch.from_numpy(found), net(**batch).softmax(1).detach(), rtol=0, atol=1e-6)
