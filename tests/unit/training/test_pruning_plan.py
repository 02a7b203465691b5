"""A net that was cut is built again from its weights and a few numbers, and a plan that lies is refused."""

import json

import pytest
import torch
from torch import nn

from maas.errors import CheckpointError
from maas.models.resnet import ResNet
from maas.runtime.processors.array import ArrayProcessor
from maas.training.checkpoint import Checkpoint
from maas.training.merged_embedding import MergedEmbedding
from maas.training.pruning_plan import PruningPlan, crop_, plan_of, shape_


class Layered(nn.Module):
    """A list of layers behind an embedding whose weights the head shares."""

    def __init__(self, width: int = 6, layers: int = 4) -> None:
        super().__init__()
        self.heads = 2
        self.embedding = nn.Embedding(9, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.head = nn.Linear(width, 9)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        hidden = self.embedding(ids)
        for layer in self.layers:
            hidden = layer(hidden).relu()
        return self.head(hidden)


def narrowed(net: Layered, width: int) -> Layered:
    """Cuts to the first few features by hand."""
    for layer in net.layers:
        layer.weight, layer.bias = nn.Parameter(layer.weight[:width, :width]), nn.Parameter(layer.bias[:width])
        layer.in_features = layer.out_features = width
    shared = nn.Parameter(net.embedding.weight[:, :width])
    net.embedding.weight = net.head.weight = shared
    net.embedding.embedding_dim = net.head.in_features = width
    net.heads = 1
    return net


def test_there_is_no_plan_when_nothing_was_cut():
    assert plan_of(Layered(), Layered(), PruningPlan()) is None


def test_cut_net_answers_alike_when_it_is_built_from_plan_and_weights():
    net, ids = narrowed(Layered(), 4), torch.arange(8)[None]
    del net.layers[3], net.layers[1]
    plan = plan_of(Layered(), net, PruningPlan(removed={"layers": (1, 3)}))
    assert plan.removed == {"layers": (1, 3)}
    assert plan.numbers[""] == {"heads": 1}
    assert plan.numbers["layers.0"] == {"in_features": 4, "out_features": 4}
    again = Layered()
    shape_(again, plan, net.state_dict())
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(ids), net(ids))
    assert again.head.weight is again.embedding.weight, "what was shared stays shared"


def test_inputs_are_clipped_when_the_plan_says_so():
    net = nn.Sequential(nn.Identity(), nn.ReLU())
    shape_(net, PruningPlan(clips={"1": (-1.0, 2.0)}), {})
    assert net(torch.tensor([-3.0, 1.5, 5.0])).tolist() == [0.0, 1.5, 2.0]


def test_tokens_share_their_mean_when_an_embedding_is_merged():
    net, rows = Layered(), torch.tensor([1, 0, 2, 0, 3, 0, 4, 5, 6], dtype=torch.int32)
    vectors = net.embedding.weight.detach()
    net.embedding = MergedEmbedding.of(net.embedding, rows)
    assert net.embedding.weight.shape == (7, 6)
    assert torch.equal(net.embedding(torch.tensor([0, 4, 8])), vectors[[0, 4, 8]])
    assert torch.allclose(net.embedding(torch.tensor([[1, 3], [5, 5]])), vectors[[1, 3, 5]].mean(0).expand(2, 2, 6))
    twice = MergedEmbedding.of(net.embedding, torch.where(rows < 2, 0, rows - 1).int())
    assert torch.allclose(twice(torch.tensor([0, 3])), vectors[[0, 1, 3, 5]].mean(0).expand(2, 6))


def test_merged_embedding_is_built_again_and_drawn_anew_when_there_are_plan_and_weights():
    net, rows = Layered(), torch.tensor([1, 0, 2, 0, 3, 0, 4, 5, 6], dtype=torch.int32)
    net.embedding = MergedEmbedding.of(net.embedding, rows)
    plan, weights, ids = (
        plan_of(Layered(), net, PruningPlan(merged=("embedding",))),
        net.state_dict(),
        torch.arange(9)[None],
    )
    assert plan == PruningPlan(merged=("embedding",))
    again = Layered()
    shape_(again, plan, weights)
    again.load_state_dict(weights)
    assert torch.equal(again(ids), net(ids))
    drawn = crop_(Layered(), plan, weights)
    assert torch.equal(drawn.embedding.rows, rows)
    assert drawn.embedding.weight.shape == (7, 6)
    assert not torch.equal(drawn(ids), net(ids))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PruningPlan({"layers.0": {"colour": 3}}), "sets colour of layers.0, which has no such number"),
        (PruningPlan({"layers.9": {"in_features": 3}}), "sets in_features of layers.9"),
        (PruningPlan({"": {"training": 1}}), "sets training of the net"),
        (PruningPlan({}, {"layers": (4,)}), r"removes \(4,\) of layers"),
        (PruningPlan({}, {"head": (0,)}), r"removes \(0,\) of head"),
        (PruningPlan(merged=("head",)), "merges tokens of head, which is no embedding"),
        (PruningPlan({}, {}, {"body": (0.0, 1.0)}), "clips the input of body, which the net does not have"),
    ],
)
def test_plan_is_refused_when_it_speaks_of_what_the_net_lacks(plan, message):
    net = Layered()
    with pytest.raises(CheckpointError, match=message):
        shape_(net, plan, net.state_dict())


def test_spread_of_products_stays_when_a_fresh_net_is_cropped():
    torch.manual_seed(0)
    full = nn.Sequential(nn.Linear(512, 256), nn.Linear(256, 64))
    cut = {"0.weight": torch.empty(32, 512), "0.bias": torch.empty(32), "1.weight": torch.empty(64, 32)}
    plan = PruningPlan({"0": {"out_features": 32}, "1": {"in_features": 32}}, clips={"1": (0.0, 1e-6)})
    before = full[1].weight.detach().std() * 256**0.5
    cropped = crop_(full, plan, {**cut, "1.bias": torch.empty(64)})
    assert cropped[1].weight.shape == (64, 32)
    assert cropped[1].weight.detach().std() * 32**0.5 == pytest.approx(float(before), rel=0.1)
    assert cropped[0].weight.shape == (32, 512)
    assert not cropped[1]._forward_pre_hooks, "clips are ranges of the other net's weights"


def test_checkpoint_of_a_cut_net_can_be_opened_cut_and_saved_again(save, tmp_path):
    from maas.compression.channel_pruning import prune_

    labels, arguments = tuple("abcd"), {"in_channels": 1, "outputs": 4, "widths": [8, 16, 16]}
    model_inputs = {"pixels": torch.randint(0, 255, (2, 28, 28, 1), dtype=torch.uint8)}
    net = ResNet(**arguments).eval()
    first = save(tmp_path / "first", net, ArrayProcessor([1]), "maas.models.resnet.ResNet", labels, **arguments)
    opened = first
    for index in range(2):
        net = opened.model()
        prune_(net, model_inputs, ratio=0.3)
        before = net(**model_inputs)
        opened = Checkpoint.open(opened.succeeded_by(tmp_path / f"cut{index}", net).folder)
        assert torch.equal(opened.model()(**model_inputs), before)
    assert opened.digest not in (first.digest, "")
    assert opened.record.labels == labels
    sizes = [sum(one.numel() for one in checkpoint.model().parameters()) for checkpoint in (first, opened)]
    assert sizes[1] < 0.5 * sizes[0]
    assert opened.from_scratch(3)(**model_inputs).shape == (2, 4)
    assert torch.equal(opened.from_scratch(3)(**model_inputs), opened.from_scratch(3)(**model_inputs))
    assert not torch.equal(opened.from_scratch(3)(**model_inputs), opened.from_scratch(4)(**model_inputs))


def test_checkpoint_is_refused_when_its_plan_was_altered(save, tmp_path):
    from maas.compression.channel_pruning import prune_

    labels, arguments = tuple("abcd"), {"in_channels": 1, "outputs": 4, "widths": [8, 16, 16]}
    net = ResNet(**arguments).eval()
    first = save(tmp_path / "first", net, ArrayProcessor([1]), "maas.models.resnet.ResNet", labels, **arguments)
    prune_(net, {"pixels": torch.zeros(2, 28, 28, 1, dtype=torch.uint8)}, ratio=0.3)
    cut = first.succeeded_by(tmp_path / "cut", net)
    path = cut.folder / "checkpoint.json"
    record = json.loads(path.read_text())
    record["plan"]["numbers"]["head"] = {"forward": 3}
    path.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="sets forward of head, which has no such number"):
        Checkpoint.open(cut.folder).model()
