"""A bundle is proven against the trained net, and a graph that answers otherwise is caught where it goes astray."""

import sys
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

from maas.config.schema import METRICS
from maas.errors import ParityError
from maas.evidence.metrics import classification_metrics
from maas.exporting.proof import prove
from maas.exporting.settings import ExportSettings
from maas.models.mlp import MLP
from maas.records.evidence import EVIDENCE_VERSION

sys.modules.setdefault("drawn_again", sys.modules[__name__])  # checkpoints name what this file defines by this name


def test_evidence_holds_metrics_and_parity_of_the_test_rows_when_a_bundle_is_proven(line, digits, source_of):
    evidence = prove(
        line.bundle,
        source_of(line.checkpoint, digits),
        line.bundle.model_path,
        ExportSettings(),
        baseline=lambda splits: splits.test.targets,
    )
    labels = line.bundle.predictor.outputs(digits.test.inputs)["probabilities"].argmax(axis=1)
    expected = classification_metrics(digits.test.targets, labels, 10)
    shipped = evidence.metrics["shipped"]
    assert {name: shipped[name] for name in expected} == expected
    assert set(shipped) == set(METRICS["classification"])
    trained = evidence.metrics["trained"]
    assert {name: trained[name] for name in expected} == expected
    for name, one in shipped.items():  # probabilities differ by rounding
        assert one.value == pytest.approx(trained[name].value, abs=1e-6)
    assert evidence.metrics["baseline"]["accuracy"].value == 1
    assert [(one.left, one.right, one.rows) for one in evidence.parity] == [
        ("torch", "onnxruntime", len(digits.test)),
        ("torch", "onnx reference", 64),
    ]
    assert all(one.max_difference <= 1e-5 and one.agreement.value == 1 for one in evidence.parity)
    assert (evidence.schema_version, evidence.manifest_sha256) == (EVIDENCE_VERSION, line.bundle.digest)
    assert evidence.data == digits.record


def altered(line, folder, change):
    model = onnx.load(line.bundle.model_path)
    change(model.graph)
    onnx.save(model, folder / "altered.onnx")
    return folder / "altered.onnx"


def test_altered_weight_is_caught_when_it_was_changed_after_the_export(line, digits, tmp_path, source_of):
    def change(graph: onnx.GraphProto) -> None:
        tensor = next(one for one in graph.initializer if list(one.dims) in ([10, 256], [256, 10]))
        values = numpy_helper.to_array(tensor).copy()
        values += np.eye(*values.shape, dtype=np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    with pytest.raises(ParityError) as caught:
        prove(line.bundle, source_of(line.checkpoint, digits), altered(line, tmp_path, change), ExportSettings())
    assert caught.value.found > caught.value.allowed == 1e-5
    assert str(caught.value).startswith(
        f"onnxruntime does not predict as torch on {len(digits.test)} rows: a number differs by "
        f"{caught.value.found:.3g}"
    )
    assert str(caught.value).endswith(" All nodes agree: the export itself differs.")


def test_first_node_that_differs_is_named_when_two_evaluators_disagree(line, digits, tmp_path, source_of):
    def change(graph: onnx.GraphProto) -> None:
        position, relu = next((index, node) for index, node in enumerate(graph.node) if node.op_type == "Relu")
        plain = relu.input[0]
        relu.input[0] = "noisy"
        noise = helper.make_node("RandomNormalLike", [plain], ["noise"], name="injected_noise", scale=0.5)
        graph.node.insert(position, helper.make_node("Add", [plain, "noise"], ["noisy"], name="injected_sum"))
        graph.node.insert(position, noise)

    with pytest.raises(ParityError) as caught:
        prove(line.bundle, source_of(line.checkpoint, digits), altered(line, tmp_path, change), ExportSettings())
    assert str(caught.value).endswith(" The first node that differs is injected_noise (RandomNormalLike).")


def test_tolerance_is_the_recipes_when_it_is_loose(line, digits, tmp_path, source_of):
    def change(graph: onnx.GraphProto) -> None:
        tensor = next(one for one in graph.initializer if list(one.dims) == [10])
        values = numpy_helper.to_array(tensor) + np.linspace(0, 1e-3, 10, dtype=np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    path = altered(line, tmp_path, change)
    with pytest.raises(ParityError):
        prove(line.bundle, source_of(line.checkpoint, digits), path, ExportSettings())
    tolerant = prove(line.bundle, source_of(line.checkpoint, digits), path, ExportSettings(tolerance=1e-2))
    assert 1e-5 < tolerant.parity[0].max_difference < 1e-2


class DrawnShift(MLP):
    """Adds what is drawn whenever it is built."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.register_buffer("shift", torch.randn(10), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features) + self.shift


class Dropping(MLP):
    """Drops units for ever."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.dropout(super().forward(features))


@pytest.mark.parametrize("kind", [DrawnShift, Dropping])
def test_randomness_is_named_and_not_the_export_when_a_net_answers_otherwise_each_time(
    kind, save, line, digits, tmp_path, source_of
):
    target, arguments = f"drawn_again.{kind.__name__}", {"in_features": 64, "outputs": 10, "hidden": [4]}
    checkpoint = save(
        tmp_path / "train", kind(**arguments), line.checkpoint.processor(), target, digits.labels, **arguments
    )
    with pytest.raises(ParityError) as caught:
        prove(line.bundle, source_of(checkpoint, digits), line.bundle.model_path, ExportSettings())
    assert str(caught.value).startswith(
        f"{target} is random: opened again, it predicts the same rows otherwise, by up "
    )
    assert "export" not in str(caught.value)
    assert caught.value.found > 1e-3
