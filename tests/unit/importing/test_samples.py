"""Stand-ins for imported models look like what they stand in for, and see no row they must not."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from maas.data.splits import Split, Splits
from maas.importing.samples import random_features


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_file_is_a_strangers_when_it_is_opened(iris, cache):
    path = random_features(iris, hidden=32)
    assert path.parent == cache / "samples"
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [one.version for one in model.opset_import] == [11]
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("pixels", [1, 4])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("scores", [1, 3]), ("digit", [1])]


def test_bytes_are_the_same_and_only_training_rows_count_when_it_is_written_again(iris, cache):
    nothing = Split([], np.array([], dtype=np.int64))
    first = random_features(iris).read_bytes()
    second = random_features(Splits(iris.train, nothing, nothing, iris.labels, iris.record)).read_bytes()
    assert first == second


def test_scores_rank_as_discriminant_analysis_does_when_its_covariance_is_not_shrunk(iris, cache):
    path = random_features(iris, hidden=12, scale=0.1, shrinkage=1e-12)
    weights = {one.name: onnx.numpy_helper.to_array(one).astype(float) for one in onnx.load(path).graph.initializer}
    hidden = np.maximum(np.array(iris.train.inputs) @ weights["first"] + weights["offsets"], 0)
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(hidden, iris.train.targets)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = np.array(iris.test.inputs, dtype=np.float32)
    found = np.concatenate([session.run(["digit"], {"pixels": row[None]})[0] for row in rows])
    expected = reference.predict(np.maximum(rows @ weights["first"] + weights["offsets"], 0))
    assert (found == expected).mean() >= 0.95
    assert (found == iris.test.targets).mean() > 0.9
