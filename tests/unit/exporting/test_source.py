"""What enters the line: the same questions to a checkpoint and to a graph that was given."""

import numpy as np
import onnx
import pytest

from maas.errors import ConfigError, DataError, ExportError
from maas.evidence.task_metrics import task_metrics_of
from maas.exporting.file_proof import prove_file
from maas.files import sha256_of
from maas.lifecycle.given import Given, GivenGraph, source_of_bundle
from maas.lifecycle.recipe import BuiltRecipe
from maas.runtime.model import Predictor
from maas.runtime.processors.array import ArrayProcessor


@pytest.fixture(scope="module")
def calibration(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "rows.npz"
    np.savez(path, inputs=np.array(list(digits.test.inputs), dtype=np.float32), targets=digits.test.targets)
    return path


def test_checkpoint_gives_graph_and_scores_of_its_net_when_it_enters_the_line(line, digits, source_of, tmp_path):
    source = source_of(line.checkpoint, digits, "accuracy")
    assert (source.name, source.task, source.precision) == ("digits_mlp", "tabular-classification", "fp32")
    assert (source.model.framework, source.model.origin) == ("torch", "maas.models.mlp.MLP")
    assert source.lineage == line.bundle.manifest.lineage
    assert sha256_of(source.model.write_graph(tmp_path / "graph.onnx")) == sha256_of(line.bundle.model_path)
    rows = digits.test.inputs[:20]
    by_net, by_graph = source.model.scores(rows, 8), source.predictor(tmp_path / "graph.onnx").scores(rows)
    np.testing.assert_allclose(by_net, by_graph, atol=1e-5)
    assert source.model.thresholds({}) is None


def test_rows_are_refused_when_the_checkpoint_was_trained_on_others(line, digits):
    others = type(digits)(digits.train, digits.validation, digits.test, digits.labels, record_of(digits, "1" * 64))
    with pytest.raises(DataError, match=r"^The rows are not those that .* was trained on \(fingerprint 1{12}…, was "):
        BuiltRecipe.of(line.config).source(line.checkpoint, others)


def record_of(splits, fingerprint):
    return type(splits.record)(fingerprint, splits.record.rows, splits.record.removed)


def test_bundle_is_its_own_reference_when_it_enters_the_line(line, calibration, tmp_path):
    source = source_of_bundle(line.bundle, Given(calibration))
    assert (source.name, source.task) == (line.bundle.manifest.name, line.bundle.manifest.task)
    assert (source.parent_sha256, source.metric, source.checkpoint) == (line.bundle.digest, "accuracy", None)
    assert source.golden_rows == line.bundle.golden.inputs
    assert source.model.write_graph(tmp_path / "copy.onnx").read_bytes() == line.bundle.model_path.read_bytes()
    rows = source.rows.test.inputs[:5]
    np.testing.assert_array_equal(source.model.scores(rows, 1), line.bundle.predictor.scores(rows))
    assert source.model.reopened() is source.model
    with pytest.raises(ExportError, match="is a graph alone"):
        source.model.succeeded_by(line.checkpoint)


def test_graph_is_named_when_it_does_not_take_what_the_processor_gives(line):
    narrow = Predictor(line.bundle.model_path, ArrayProcessor([3]), line.bundle.predictor.postprocessor)
    graph = GivenGraph(line.bundle.model_path, narrow, "narrow.onnx")
    with pytest.raises(ConfigError, match=r"^narrow\.onnx does not take what the processor gives: "):
        graph.scores([[1.0, 2.0, 3.0]], 1)


def test_file_proof_counts_equal_answers_when_the_graph_changed(line, calibration, tmp_path):
    """The last layer's bias for one label is raised until every row gets that label: it agrees where it was right."""
    source = source_of_bundle(line.bundle, Given(calibration))
    model = onnx.load(line.bundle.model_path)
    bias = next(one for one in model.graph.initializer if list(one.dims) == [10])
    bias.CopyFrom(onnx.numpy_helper.from_array(np.eye(10, dtype=np.float32)[3] * 1e4, bias.name))
    onnx.save(model, tmp_path / "always_3.onnx")
    given = line.bundle.model_path
    found = source.predictor(given).scores(source.rows.test.inputs).argmax(axis=1)
    proof = prove_file(source, given, tmp_path / "always_3.onnx", min_agreement=0.0)
    assert proof.parity.agreement.value == pytest.approx(np.mean(found == 3))
    assert (proof.given_sha256, proof.shipped_sha256) == (sha256_of(given), sha256_of(tmp_path / "always_3.onnx"))
    targets = source.rows.test.targets
    expected = task_metrics_of("classification", source.rows.labels).compute(targets, np.eye(10)[found])
    assert proof.metrics["given"]["accuracy"] == expected["accuracy"]
    assert prove_file(source, given, given, min_agreement=1.0).parity.agreement.value == 1
