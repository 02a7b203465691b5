"""Decoders in blocks of few bits against torch with the same rounded weights; what takes four bits, what is refused."""

import numpy as np
import onnx
import pytest

from maas.compression.passes import Calibration
from maas.compression.passes.quantize_blocks import QuantizeBlocks
from maas.compression.passes.quantize_mixed_blocks import QuantizeMixedBlocks
from maas.compression.text_evaluator import TextEvaluator
from maas.data.splits import Split
from maas.errors import ExportError
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.onnx_graphs.block_weights import eight_bit_matrix, four_bit_matrix
from maas.onnx_graphs.decoder import decoder_graph, state_of
from maas.onnx_graphs.files import write_graph
from maas.runtime.generation.decoder import Decoder

BLOCK = 16
NOTHING = Calibration(lambda _: iter(()), 0)
ROWS = [np.arange(3, 20), np.arange(40, 45), np.array([7])]


def written(decoder, path):
    write_graph(decoder_graph(decoder.config, decoder.weights, opset=20), path)
    return path


def rounded_(model, rounded) -> None:
    """Rounds all matrices of a model of transformers, the embedding in eight bits."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            matrix = (eight_bit_matrix if "embed" in name else rounded)(parameter.detach().numpy(), BLOCK)
            parameter.data[:] = parameter.new_tensor(matrix.weights)


def assert_logits(path, decoder, atol) -> None:
    """Requires the logits of a file to be those of torch."""
    graph = Decoder(path, state_of(decoder.config))
    found = graph.prefill(graph.new_cache(3, 32), 0, ROWS)
    for row, logits in zip(ROWS, found, strict=True):
        np.testing.assert_allclose(logits, decoder.logits(row)[-1], atol=atol)


def kinds(path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def bits(path) -> list[int]:
    return [
        one.i for node in onnx.load(path).graph.node if node.op_type == "MatMulNBits"
        for one in node.attribute if one.name == "bits"
    ]  # fmt: skip


@pytest.fixture
def model(tiny_llama):
    return tiny_llama.llama()


@pytest.fixture
def rows(bundle_of_llama) -> Calibration:
    words = [f"the model reads {index} prompts and writes {index * index} texts" for index in range(40)]
    return TextEvaluator(bundle_of_llama, Split(words, None), 0, 64).calibration(Split(words, None), 0)


def test_logits_are_torchs_of_rounded_weights_when_a_decoder_has_eight_bits(model, tmp_path):
    plain = written(PretrainedDecoder(model, None, "test"), tmp_path / "plain.onnx")
    QuantizeBlocks(block_size=BLOCK, accuracy_level=0).apply(plain, tmp_path / "out.onnx", NOTHING)
    rounded_(model, eight_bit_matrix)
    assert_logits(tmp_path / "out.onnx", PretrainedDecoder(model, None, "test"), 1e-4)
    assert {"MatMul", "Gemm"}.isdisjoint(kinds(tmp_path / "out.onnx"))
    assert (tmp_path / "out.onnx").stat().st_size < 0.45 * plain.stat().st_size


def test_embedding_is_held_once_when_it_is_the_head_too(model, tmp_path):
    plain = written(PretrainedDecoder(model, None, "test"), tmp_path / "plain.onnx")
    QuantizeBlocks().apply(plain, tmp_path / "out.onnx", NOTHING)
    wide = [one.name for one in onnx.load(tmp_path / "out.onnx").graph.initializer if 320 in one.dims]
    assert wide == ["model.embed_tokens.weight/codes_8", "model.embed_tokens.weight/scales"]


def test_logits_change_little_when_activations_are_rounded_too(model, tmp_path):
    decoder = PretrainedDecoder(model, None, "test")
    plain = written(decoder, tmp_path / "plain.onnx")
    QuantizeBlocks(block_size=BLOCK).apply(plain, tmp_path / "out.onnx", NOTHING)
    spread = max(float(np.ptp(decoder.logits(row)[-1])) for row in ROWS)
    assert_logits(tmp_path / "out.onnx", decoder, 0.05 * spread)


def test_logits_are_those_of_fp32_when_weights_had_four_bits_before(model, tmp_path):
    rounded_(model, four_bit_matrix)
    decoder = PretrainedDecoder(model, None, "test")
    plain = written(decoder, tmp_path / "plain.onnx")
    lossless = QuantizeMixedBlocks(tolerance=0, block_size=BLOCK, accuracy_level=0)
    lossless.apply(plain, tmp_path / "out.onnx", NOTHING)
    assert_logits(tmp_path / "out.onnx", decoder, 1e-4)
    assert sorted(bits(tmp_path / "out.onnx")) == [4] * 10 + [8]


def test_four_bits_are_refused_when_weights_never_had_them_and_nothing_may_be_lost(model, tmp_path):
    plain = written(PretrainedDecoder(model, None, "test"), tmp_path / "plain.onnx")
    with pytest.raises(ExportError, match=r"^No matrix of the graph takes four bits within a tolerance of 0; all take"):
        QuantizeMixedBlocks(tolerance=0).apply(plain, tmp_path / "out.onnx", NOTHING)
    assert not (tmp_path / "out.onnx").exists()


def test_more_matrices_take_four_bits_when_more_is_tolerated(model, rows, tmp_path):
    plain = written(PretrainedDecoder(model, None, "test"), tmp_path / "plain.onnx")
    found = []
    for tolerance in (0.1, 0.3, 100.0):
        QuantizeMixedBlocks(tolerance=tolerance, block_size=BLOCK).apply(plain, tmp_path / "out.onnx", rows)
        found.append(bits(tmp_path / "out.onnx").count(4))
    assert 0 < found[0] < found[1] < found[2] == 10


def test_bytes_are_equal_when_the_pass_is_applied_twice(model, rows, tmp_path):
    plain = written(PretrainedDecoder(model, None, "test"), tmp_path / "plain.onnx")
    for one in (QuantizeBlocks(), QuantizeMixedBlocks(tolerance=0.3)):
        for index in range(2):
            one.apply(plain, tmp_path / f"{index}.onnx", rows)
        assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


def test_graph_is_refused_when_it_has_no_matrix(tmp_path):
    ends = [onnx.helper.make_tensor_value_info(one, onnx.TensorProto.FLOAT, ["batch", 4]) for one in ("x", "out")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["out"])], "main", ends[:1], ends[1:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(made, tmp_path / "in.onnx")
    with pytest.raises(ExportError, match=r"^The graph has no MatMul, Gemm or Gather with a matrix of weights"):
        QuantizeBlocks().apply(tmp_path / "in.onnx", tmp_path / "out.onnx", NOTHING)
