"""What passes over checkpoints leave alone, and what they refuse."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from maas.compression.passes import PassContext
from maas.compression.passes.drop_heads import DropHeads
from maas.compression.passes.drop_layers import DropLayers
from maas.compression.passes.prune import Prune
from maas.compression.passes.prune_vocabulary import PruneVocabulary
from maas.errors import ExportError
from maas.training.recipe import TrainingRecipe


@pytest.fixture
def context(line, texts, encoder_checkpoint, tmp_path) -> PassContext:
    config = dataclasses.replace(line.config, metric="accuracy", batch_size=8)
    return PassContext(TrainingRecipe.of(config), texts, encoder_checkpoint, tmp_path, seed=0)


def test_padding_keeps_its_own_vector_when_every_token_is_rare(context, tmp_path):
    made = PruneVocabulary(min_count=10**6).apply(context.root, tmp_path / "out", context).model().embedding
    before = context.root.model().embedding.weight
    assert made.rows.tolist() == [1] + [0] * (len(before) - 1)
    assert torch.equal(made.weight[1], before[0])
    assert torch.allclose(made.weight[0], before[1:].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("widths", "expected"),
    [([64, 64, 64], {"stages"}), ([64, 32, 16], {"stages.0.blocks", "stages.1.blocks", "stages.2.blocks"})],
)
def test_layers_go_as_wholes_where_none_changes_the_shape_and_else_the_blocks_inside(
    widths, expected, line, digits, nets, save, tmp_path
):
    arguments = {"in_features": 64, "outputs": 10, "widths": widths}
    processor = line.checkpoint.processor()
    torch.manual_seed(0)
    root = save(tmp_path / "root", nets.Staged(**arguments), processor, "small_nets.Staged", digits.labels, **arguments)
    context = PassContext(TrainingRecipe.of(line.config), digits, root, tmp_path, seed=0)
    cut = DropLayers(fraction=0.5).apply(root, tmp_path / "out", context)
    assert set(cut.record.plan.removed) == expected
    assert cut.model()(features=torch.zeros(2, 64)).shape == (2, 10)


def test_fraction_that_rounds_to_no_head_is_refused(context, tmp_path):
    with pytest.raises(ExportError, match=r"fraction is 0\.1, which rounds to no head of any attention"):
        DropHeads(fraction=0.1).apply(context.root, tmp_path / "out", context)


def test_fraction_that_rounds_to_no_layer_is_refused(context, tmp_path):
    with pytest.raises(ExportError, match=r"fraction is 0\.1, which rounds to no layer of any stack"):
        DropLayers(fraction=0.1).apply(context.root, tmp_path / "out", context)


def test_gradients_are_those_of_one_weighted_mean_when_labels_weigh_differently(line, digits, tmp_path):
    """Of 100 rows in batches of 16, whose weights do not add up to the same."""
    weights = [float(label + 1) for label in range(10)]
    loss = line.config.objective["loss"].with_arguments(class_weights=weights)
    config = dataclasses.replace(line.config, objective=line.config.objective.with_arguments(loss=loss), batch_size=16)
    context = PassContext(TrainingRecipe.of(config), digits, line.checkpoint, tmp_path, seed=0)
    net, twin = (line.checkpoint.model().requires_grad_() for _ in range(2))
    Prune(importance="taylor", rows=100)._backward(net, line.checkpoint, context)
    rows, processor = digits.train.spread(100), line.checkpoint.processor()
    features = torch.from_numpy(processor.batch(processor.preprocess(rows.inputs))["features"])
    functional.cross_entropy(twin(features), torch.from_numpy(rows.targets), torch.tensor(weights)).backward()
    scale = sum(weights[target] for target in rows.targets) / 100
    for found, wanted in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad * scale, rtol=1e-4, atol=1e-6)
