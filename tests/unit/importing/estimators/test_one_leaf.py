"""Trees of one leaf, which boosting makes once a class is learnt: both runtimes of ONNX add what the estimator does."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from maas.importing.scikit_learn_graph import converted


@pytest.mark.parametrize(
    "estimator",
    [HistGradientBoostingClassifier(max_iter=100), RandomForestClassifier(5, min_samples_leaf=60, random_state=0)],
    ids=["boosting", "forest"],
)
def test_graph_gives_what_the_estimator_gives_when_trees_have_one_leaf(estimator):
    rows, targets = load_wine(return_X_y=True)
    fitted = estimator.fit(rows[::2], targets[::2])
    expected = fitted.predict_proba(rows)
    graph = converted(fitted, {"numbers": rows[:5]}, None, classifies=True, opset=onnx.defs.onnx_opset_version())
    (reference,) = ReferenceEvaluator(graph).run(None, {"numbers": rows})
    (found,) = ort.InferenceSession(graph.SerializeToString()).run(None, {"numbers": rows})
    np.testing.assert_allclose(reference, expected, atol=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_some_tree_has_one_leaf_when_boosting_learns_wine():
    rows, targets = load_wine(return_X_y=True)
    fitted = HistGradientBoostingClassifier(max_iter=100).fit(rows[::2], targets[::2])
    assert any(len(tree.nodes) == 1 for stage in fitted._predictors for tree in stage)
