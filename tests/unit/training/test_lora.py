"""Low-rank adaptation: what is trained, and that nothing but plain weights is left."""

import pytest
import torch

from maas.config import Part
from maas.models.pretrained import SequenceClassifier
from maas.training.lora import LoRA

TINY = {
    "model_type": "bert", "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.fixture
def model_inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"input_ids": torch.randint(1, 60, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.int64)}


def adapted(**settings) -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(2, config=TINY, adapter=LoRA(**settings)).eval()


def moved(net: SequenceClassifier) -> SequenceClassifier:
    """Changes whatever can be trained."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def test_products_and_head_alone_are_trained_when_a_model_is_adapted():
    net = adapted(rank=4, targets=["query"])
    trained = {name: parameter.numel() for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert sum(trained.values()) == 2 * (4 * 32 + 32 * 4) + 2 * 32 + 2  # A and B in each of two layers; the head
    assert all("lora_" in name or "classifier" in name for name in trained)


def test_further_modules_are_trained_whole_when_they_are_named():
    names = [name for name, parameter in adapted(whole=["pooler"]).named_parameters() if parameter.requires_grad]
    assert sum("pooler" in name for name in names) == 2


def test_answers_are_the_same_when_the_products_are_merged(model_inputs):
    net = moved(adapted(rank=4, targets=["query", "key", "value", "dense"], whole=[], dropout=0.1))
    expected = net(**model_inputs)
    finished = net.finished()
    torch.testing.assert_close(finished(**model_inputs), expected, rtol=1e-5, atol=1e-6)
    assert finished.finished() is finished


def test_weight_is_that_of_the_formula_when_the_products_are_merged():
    net = adapted(rank=4, alpha=6, targets=["query"])
    before = net.hugging_face.base_model.model.bert.encoder.layer[1].attention.self.query.base_layer.weight.clone()
    query = moved(net).hugging_face.base_model.model.bert.encoder.layer[1].attention.self.query
    product = 6 / 4 * query.lora_B["default"].weight @ query.lora_A["default"].weight
    merged = net.finished().hugging_face.bert.encoder.layer[1].attention.self.query.weight
    torch.testing.assert_close(merged, before + product)


def test_checkpoint_knows_nothing_of_lora_when_the_net_is_finished(model_inputs):
    net = moved(adapted(rank=4)).finished()
    plain = SequenceClassifier(2, config=TINY)
    assert list(net.state_dict()) == list(plain.state_dict())
    again = Part.of(net.rebuild(), "net").build().eval()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(**model_inputs), net(**model_inputs), rtol=0, atol=0)


def test_answers_are_the_models_own_when_nothing_was_trained_yet(model_inputs):
    torch.manual_seed(0)
    plain = SequenceClassifier(2, config=TINY).eval()
    torch.testing.assert_close(adapted(rank=4)(**model_inputs), plain(**model_inputs), rtol=0, atol=0)
