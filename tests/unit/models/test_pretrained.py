"""Nets with a Hugging Face model inside: their weights, their mathematics, and how a checkpoint gets them back."""

import json
import logging

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModel, BertConfig, BertForSequenceClassification, BertModel

from maas.config import Part
from maas.errors import ConfigError
from maas.models.pretrained import SentenceEncoder, SequenceClassifier

TINY = {
    "model_type": "bert", "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random BERT, saved as its authors would."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("bert")
    BertModel(BertConfig(**TINY)).save_pretrained(path)
    return path


@pytest.fixture
def model_inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids, mask = torch.randint(1, 60, (3, 7)), torch.ones(3, 7, dtype=torch.int64)
    mask[1, 4:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def test_logits_are_those_of_transformers_when_weights_are_equal(folder, model_inputs):
    net = SequenceClassifier(3, str(folder)).eval()
    reference = BertForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    reference.load_state_dict(net.hugging_face.state_dict())
    torch.testing.assert_close(net(**model_inputs), reference(**model_inputs).logits, rtol=0, atol=0)
    encoder = AutoModel.from_pretrained(folder).state_dict()
    for name, weight in encoder.items():
        torch.testing.assert_close(net.hugging_face.bert.state_dict()[name], weight)


def test_types_reach_the_model_when_they_are_fed(folder, model_inputs):
    net = SequenceClassifier(3, str(folder)).eval()
    types = torch.zeros_like(model_inputs["input_ids"])
    torch.testing.assert_close(net(**model_inputs, token_type_ids=types), net(**model_inputs))
    assert (net(**model_inputs, token_type_ids=types + 1) - net(**model_inputs)).abs().max() > 1e-4


def test_vector_is_the_mean_over_the_tokens_of_length_1_when_a_row_is_padded(folder, model_inputs):
    net = SentenceEncoder(str(folder)).eval()
    hidden = AutoModel.from_pretrained(folder).eval()(**model_inputs).last_hidden_state
    for row, tokens in ((0, 7), (1, 4), (2, 7)):
        expected = functional.normalize(hidden[row, :tokens].mean(0), dim=0)
        torch.testing.assert_close(net(**model_inputs)[row], expected)


@pytest.mark.parametrize("make", [lambda place: SequenceClassifier(4, place), SentenceEncoder])
def test_net_is_rebuilt_without_its_weights_when_its_part_went_through_json(folder, model_inputs, make):
    net = make(str(folder)).eval()
    part = json.loads(json.dumps(net.rebuild()))
    assert str(folder) not in json.dumps(part)
    again = Part.of(part, "net").build()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again.eval()(**model_inputs), net(**model_inputs), rtol=0, atol=0)
    assert again.rebuild() == net.rebuild()


def test_every_module_trains_when_a_pretrained_model_was_loaded(folder):
    """Lightning leaves modules in the mode that it finds."""
    assert all(module.training for module in SequenceClassifier(2, str(folder)).modules())


def test_dropout_is_the_recipes_when_it_says_one(folder):
    net = SequenceClassifier(2, str(folder), dropout=0.4)
    assert {module.p for module in net.modules() if isinstance(module, nn.Dropout)} == {0.4}
    config = SequenceClassifier(2, str(folder)).hugging_face.config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.1)


def test_weights_that_begin_at_random_are_told_when_the_model_has_none(folder, caplog):
    with caplog.at_level(logging.INFO, "maas"):
        SequenceClassifier(2, str(folder))
    assert caplog.messages == ["model     these weights begin at random: classifier.bias, classifier.weight"]


def test_head_is_kept_when_its_size_fits_and_begins_anew_when_it_does_not(tmp_path, caplog):
    BertForSequenceClassification(BertConfig(**TINY, num_labels=3)).save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO, "maas"):
        SequenceClassifier(3, str(tmp_path))
        assert not caplog.messages
        assert SequenceClassifier(5, str(tmp_path)).hugging_face.classifier.out_features == 5
    assert caplog.messages == ["model     these weights begin at random: classifier.bias, classifier.weight"]


@pytest.mark.parametrize("make", [lambda *place: SequenceClassifier(2, *place), SentenceEncoder])
def test_place_is_named_when_there_is_no_model(make, tmp_path):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == "model.pretrained is missing. Set it to a folder, package:path, or a hub id."
    with pytest.raises(ConfigError) as caught:
        make(str(tmp_path))
    assert str(caught.value).startswith(f"model.pretrained is {tmp_path}, which cannot be loaded: ")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300
