"""Probabilities of two labels by one logit keep their digits near 0, whoever writes them into a graph."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from maas.exporting import hugging_face, torch_onnx
from maas.importing.meaning import Meaning
from maas.importing.writing import write_adopted
from maas.onnx_graphs.building import GraphBuilder, declared, model_of_nodes
from maas.training.heads import task_head_of

Z = np.linspace(-80, 80, 6401, dtype=np.float32)[:, None]
EXACT = -np.logaddexp(0, np.hstack([Z, -Z]).astype(np.float64))
"""ln(1 − σ(z)) and ln σ(z) in float64."""
AXES = {"z": {0: "batch"}}


class Plain(nn.Module):
    """Gives what it is given."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z


def answers(model: onnx.ModelProto | str) -> np.ndarray:
    source = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, {"z": Z})[0]


def graph_of(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", None]) for name in ("z", "found")]
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def by_torch(folder) -> np.ndarray:
    with torch.inference_mode():
        return task_head_of("binary", ("no", "yes")).activated(torch.from_numpy(Z)).numpy()


def by_torchs_exporter(folder) -> np.ndarray:
    task_head, out = task_head_of("binary", ("no", "yes")), folder / "model.onnx"
    torch_onnx.write_torch_onnx(Plain(), task_head, examples={"z": Z[:3]}, axes=AXES, output="found", out=out, opset=20)
    return answers(str(out))


def by_hugging_face(folder) -> np.ndarray:
    return answers(graph_of(hugging_face.ACTIVATION_NODES["binary"]("z", "found")))


def by_meaning_in_numpy(folder) -> np.ndarray:
    return Meaning("logit", (0, 1)).scores(Z)


def by_meaning_in_a_graph(folder) -> np.ndarray:
    builder = GraphBuilder("answer")
    Meaning("logit", (0, 1)).add_nodes(builder, "z", "found")
    return answers(declared(model_of_nodes(builder, opset=20), {"z": Z}, AXES, "found", (2,)))


def by_a_file_that_ends_in_sigmoid(folder) -> np.ndarray:
    source = graph_of(
        [helper.make_node("Identity", ["z"], ["logit"]), helper.make_node("Sigmoid", ["logit"], ["found"])]
    )
    write_adopted(
        source,
        folder / "model.onnx",
        before=GraphBuilder("model_inputs"),
        connected={"z": "z"},
        result="found",
        meaning=Meaning("probability", (0, 1)),
        examples={"z": Z[:3]},
        axes=AXES,
        output="found",
        opset=20,
    )
    return answers(str(folder / "model.onnx"))


WAYS = [
    by_torch,
    pytest.param(by_torchs_exporter, marks=pytest.mark.slow),
    by_hugging_face,
    by_meaning_in_numpy,
    by_meaning_in_a_graph,
    by_a_file_that_ends_in_sigmoid,
]


@pytest.mark.parametrize("way", WAYS)
def test_tails_are_the_closed_forms_when_logits_lie_far_out(way, tmp_path):
    found = way(tmp_path)
    assert found.dtype == np.float32
    assert found.shape == (len(Z), 2)
    np.testing.assert_allclose(found, np.exp(EXACT), rtol=0, atol=2e-7)
    np.testing.assert_allclose(np.log(found.astype(np.float64)), EXACT, rtol=0, atol=1e-5)
    assert (np.diff(found[:, 1]) >= -6e-8).all()
    assert (np.diff(found[Z[:, 0] < -1, 1]) > 0).all(), "each step up gives a larger probability"
    assert (np.diff(found[Z[:, 0] > 1, 0]) < 0).all()


def test_tail_is_lost_when_onnxruntime_computes_a_sigmoid():
    """The reason for all this: once it fails, a plain Sigmoid will do."""
    found = answers(graph_of([helper.make_node("Sigmoid", ["z"], ["found"])]))[:, 0]
    assert found[Z[:, 0] < -20].max() == 0
