"""Edges are compared in the answer's own unit, and not where a framework's own answer is arbitrary."""

from types import SimpleNamespace

import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maas.data.splits import Split, Splits
from maas.errors import ParityError
from maas.evidence.task_metrics import task_metrics_of
from maas.exporting.edge_parity import parity_at_edges
from maas.exporting.source import CheckpointModel
from maas.importing.scikit_learn import Estimator
from maas.runtime.model import Predictor
from maas.runtime.postprocessors.regression import RegressionPostprocessor
from maas.runtime.processors.array import ArrayProcessor


@pytest.fixture(scope="module")
def splits() -> Splits:
    """Targets of some millions."""
    table, targets = load_diabetes(return_X_y=True)
    split = Split(list(table[:, :4]), targets * 1e4)
    return Splits(split, split, split, (), None)


@pytest.fixture
def compared(splits, tmp_path):
    """`compared(estimator, other)`: an imported estimator and the graph of another one at edges."""

    def compare(estimator, other=None):
        processor = ArrayProcessor([4])
        met = Estimator(estimator).fit(splits, processor)
        drawn = met if other is None else Estimator(other).fit(splits, processor)
        model_inputs = processor.batch(processor.preprocess(splits.test.inputs[:4]))
        path = tmp_path / "model.onnx"
        drawn.write_onnx(path, examples=model_inputs, axes=processor.dynamic_axes, output="value", opset=20)
        checkpoint = SimpleNamespace(
            model=lambda: met,
            task_head=lambda: None,
            postprocessor=RegressionPostprocessor,
            processor=lambda: processor,
        )
        model = CheckpointModel(checkpoint, splits, opset=20)
        return list(
            parity_at_edges(
                model,
                task_metrics_of("regression", ()),
                Predictor(path, processor, RegressionPostprocessor()),
                splits.test,
                1e-5,
            )
        )

    return compare


def test_differences_are_allowed_in_the_unit_of_the_answer_when_values_are_large(compared):
    unusual, extreme = compared(RandomForestRegressor(3, random_state=0))
    assert unusual.rows > 100
    assert extreme.rows == 8
    assert 1 < unusual.tolerance < 100
    assert unusual.max_difference == extreme.max_difference == 0


def test_neighbours_are_compared_where_float64_still_tells_them_apart(compared):
    for estimator in (KNeighborsRegressor(), make_pipeline(StandardScaler(), KNeighborsRegressor())):
        (extreme,) = compared(estimator)
        assert extreme.max_difference <= extreme.tolerance


def test_another_model_is_caught_when_it_answers_edges_otherwise(compared):
    with pytest.raises(ParityError, match="^onnxruntime, unusual values does not predict as scikit-learn on "):
        compared(RandomForestRegressor(3, random_state=0), RandomForestRegressor(3, random_state=1))
