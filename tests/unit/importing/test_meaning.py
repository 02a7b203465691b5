"""Numpy and graph read a source's numbers alike, and as independent formulas do."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from scipy.special import expit, softmax

from maas.errors import ConfigError
from maas.importing.meaning import Meaning, meaning_of, require_scores
from maas.onnx_graphs.building import GraphBuilder, declared, model_of_nodes

LOGITS = np.random.default_rng(0).normal(scale=8, size=(50, 3)).astype(np.float32)
ONE = LOGITS[:, :1]
RAW = {
    ("probabilities", (2, 0, 1)): (softmax(LOGITS, axis=1), softmax(LOGITS, axis=1)[:, [2, 0, 1]]),
    ("logits", (0, 1, 2)): (LOGITS, softmax(LOGITS, axis=1)),
    ("logits", (1, 2, 0)): (LOGITS[:, :, None, None], softmax(LOGITS, axis=1)[:, [1, 2, 0]]),
    ("probability", (0, 1)): (expit(ONE), np.hstack([1 - expit(ONE), expit(ONE)])),
    ("probability", (1, 0)): (expit(ONE)[:, 0], np.hstack([expit(ONE), 1 - expit(ONE)])),
    ("logit", (0, 1)): (ONE, np.hstack([expit(-ONE), expit(ONE)])),
    ("value", ()): (ONE, ONE[:, 0]),
    ("embedding", ()): (LOGITS, LOGITS),
}


def by_graph(meaning: Meaning, raw: np.ndarray) -> np.ndarray:
    builder = GraphBuilder("answer")
    meaning.add_nodes(builder, "raw", "answer")
    model = declared(model_of_nodes(builder, opset=20), {"raw": raw}, {"raw": {0: "batch"}}, "answer", meaning.shape)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"raw": raw})[0]


@pytest.mark.parametrize(("kind", "order"), RAW)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answer_is_the_formulas_when_numpy_and_graph_read_the_same_numbers(kind, order, dtype):
    raw, expected = RAW[kind, order]
    meaning, raw = Meaning(kind, order), raw.astype(dtype)
    assert meaning.scores(raw).dtype == np.float32
    np.testing.assert_allclose(meaning.scores(raw), expected, atol=1e-6)
    np.testing.assert_allclose(by_graph(meaning, raw), expected, atol=1e-6)
    assert by_graph(meaning, raw[:1]).shape == (1, *expected.shape[1:])


def test_extreme_logits_stay_finite_when_they_are_read():
    extreme = np.array([[1e4], [-1e4]], dtype=np.float32)
    for found in (Meaning("logit", (0, 1)).scores(extreme), by_graph(Meaning("logit", (0, 1)), extreme)):
        np.testing.assert_array_equal(found, [[0, 1], [1, 0]])


def test_no_node_is_added_for_the_order_when_it_is_the_datas():
    builder = GraphBuilder("answer")
    Meaning("logits", (0, 1, 2)).add_nodes(builder, "raw", "answer")
    assert [node.op_type for node in builder.nodes] == ["Cast", "Flatten", "Softmax", "Identity"]
    assert builder.nodes[0].attribute[0].i == TensorProto.FLOAT
    assert helper.get_node_attr_value(builder.nodes[2], "axis") == 1


def test_order_is_that_of_the_data_when_labels_are_named(iris):
    names = ["virginica", "setosa", "versicolor"]
    assert meaning_of("logits", names, iris).order == (1, 2, 0)
    assert meaning_of("logits", None, iris).order == (0, 1, 2)


def test_refusal_names_both_when_labels_are_others(iris, diabetes):
    with pytest.raises(ConfigError) as caught:
        meaning_of("logits", ["setosa", "rose", "tulip"], iris)
    assert str(caught.value) == (
        "The model's labels are setosa, rose, tulip; those of the data are setosa, versicolor, virginica. They must be "
        "the same names: set model.labels in the order of the model's outputs, or data.labels."
    )
    with pytest.raises(ConfigError, match="those of the data are none"):
        meaning_of("value", ["a"], diabetes)


def test_refusal_has_both_numbers_when_widths_differ(iris, diabetes):
    with pytest.raises(ConfigError) as caught:
        require_scores(np.full((2, 5), 0.2), "probabilities", iris)
    assert str(caught.value) == (
        "The model gives 5 numbers a row; the data has 3 labels: setosa, versicolor, virginica. Choose other data, or "
        "see model.gives."
    )
    with pytest.raises(ConfigError, match=r"gives 2 numbers a row; the data has 1 number to predict\."):
        require_scores(np.zeros((2, 2)), "value", diabetes)


def test_refusal_suggests_logits_when_probabilities_do_not_add_up(iris):
    with pytest.raises(ConfigError) as caught:
        require_scores(np.array([[2.0, 1.0, 0.5]]), "probabilities", iris)
    assert str(caught.value) == (
        "The model's probabilities of a row add up to 3.5; probabilities add up to 1. Set model.gives=logits if that "
        "is what they are."
    )


@pytest.mark.parametrize(("data", "gives", "kinds"), [("iris", "value", "probabilities, logits, probability, logit"),
                                                      ("diabetes", "logits", "value")])  # fmt: skip
def test_refusal_names_what_fits_when_the_target_is_another(data, gives, kinds, request):
    splits = request.getfixturevalue(data)
    with pytest.raises(ConfigError) as caught:
        require_scores(np.zeros((2, 3)), gives, splits)
    assert str(caught.value) == (
        f"model.gives is {gives}; the data has the target {splits.target}. Set model.gives to one of {kinds}."
    )
