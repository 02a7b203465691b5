"""A decoder's graph gives back what it was made of, whatever its shape."""

import numpy as np
import onnx
import pytest

from maas.errors import ExportError
from maas.onnx_graphs.decoder import FREQUENCIES, decoder_graph
from maas.onnx_graphs.decoder_reading import read_decoder
from maas.onnx_graphs.files import write_graph

SHAPES = [
    {},
    {"head_dim": 12},  # made wider by zeros in the graph
    {"tie_word_embeddings": False, "num_key_value_heads": 4, "num_hidden_layers": 1},
    {"rope_theta": 500_000.0, "rms_norm_eps": 1e-6, "head_dim": 4},
]


@pytest.fixture(params=SHAPES, ids=str)
def decoder(request, tiny_llama, tmp_path):
    from maas.importing.decoders.pretrained import PretrainedDecoder

    return PretrainedDecoder.open(str(tiny_llama.save(tmp_path, **request.param)))


def without_table(weights):
    return {name: values for name, values in weights.items() if name not in (FREQUENCIES, "lm_head.weight")}


def test_shape_and_weights_come_back_when_a_graph_is_read(decoder, tmp_path):
    write_graph(decoder_graph(decoder.config, decoder.weights, opset=20), tmp_path / "model.onnx")
    config, weights = read_decoder(onnx.load(tmp_path / "model.onnx"))
    assert config.norm_epsilon == pytest.approx(decoder.config.norm_epsilon, rel=1e-6)
    for name in set(config.__dataclass_fields__) - {"norm_epsilon", "rotary_theta"}:
        assert getattr(config, name) == getattr(decoder.config, name), name
    expected = without_table(decoder.weights)
    assert without_table(weights).keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values, err_msg=name)
    assert ("lm_head.weight" in weights) is not config.is_tied
    np.testing.assert_allclose(weights[FREQUENCIES], decoder.weights[FREQUENCIES], rtol=1e-6)


@pytest.mark.parametrize("biased", [["q_proj", "k_proj", "v_proj"], ["o_proj", "down_proj"]], ids=str)
def test_biases_come_back_when_there_are_any(llama, biased):
    random = np.random.default_rng(0)
    biases = {
        name.replace("weight", "bias"): random.normal(size=len(values)).astype(np.float32)
        for name, values in llama.weights.items()
        if name.split(".")[-2] in biased
    }
    _, weights = read_decoder(decoder_graph(llama.config, {**llama.weights, **biases}, opset=20))
    assert {name for name in weights if name.endswith(".bias")} == biases.keys()
    for name, values in biases.items():
        np.testing.assert_array_equal(weights[name], values)


def test_graph_is_refused_when_it_is_no_decoder_or_lacks_a_weight(llama):
    graph = decoder_graph(llama.config, llama.weights, opset=20)
    (one,) = (one for one in graph.graph.initializer if one.name == "model.layers.1.mlp.down_proj.weight")
    one.name = "packed"
    with pytest.raises(ExportError, match=r"no weight 'model.layers.1.mlp.down_proj.weight' in float32\. Take the"):
        read_decoder(graph)
    del graph.graph.node[:]
    with pytest.raises(ExportError, match="The graph is no decoder of maas in float32"):
        read_decoder(graph)
