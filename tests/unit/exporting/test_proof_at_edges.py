"""The proof of an imported model holds rows that the test rows lack: missing values and thresholds among them."""

import dataclasses

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maas.data.splits import Split, Splits
from maas.errors import ConfigError, ParityError
from maas.exporting.bundling import build_bundle
from maas.exporting.proof import prove
from maas.exporting.settings import ExportSettings
from maas.importing.rule import Rule
from maas.importing.scikit_learn import Estimator
from maas.records.evidence import DataRecord
from maas.records.manifest import ServingSettings
from maas.runtime.processors.tabular import TabularProcessor

ESTIMATOR, RULE = f"{Estimator.__module__}.Estimator", f"{Rule.__module__}.Rule"
NAMES = ["alcohol", "malic", "ash", "alcalinity"]
ARGUMENTS = {
    "rules": [{"label": "a", "when": ["alcohol > 13.1", "ash <= 2.505"]}, {"label": "b", "when": ["malic != 1.5"]}],
    "default": "c",
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    """Rows to train on lack a fifth of their values; rows to test on lack none."""
    table, targets = load_wine(return_X_y=True)
    holes = np.random.default_rng(0).random((len(table), 4)) < 0.2
    rows = [dict(zip(NAMES, row, strict=True)) for row in np.where(holes, np.nan, table[:, :4]).tolist()]
    whole = [dict(zip(NAMES, row, strict=True)) for row in table[::3, :4].tolist()]
    test = Split(whole, targets[::3])
    return Splits(Split(rows, targets), test, test, ("a", "b", "c"), DataRecord("0" * 64, {"train": 178}, {}))


@pytest.fixture
def proven(splits, save, lineage, source_of, tmp_path):
    """`proven(model, target, change)`: the evidence of an imported model whose graph was changed."""

    def prove_it(model, target, change=lambda graph: None, arguments=None, splits=splits):
        processor = TabularProcessor(NAMES).fit(splits.train.inputs)
        met = model.fit(splits, processor)
        checkpoint = save(tmp_path / "train", met, processor, target, splits.labels, **(arguments or {}))
        model_inputs = processor.batch(processor.preprocess(splits.test.inputs[:4]))
        graph = tmp_path / "model.onnx"
        met.write_onnx(graph, examples=model_inputs, axes=processor.dynamic_axes, output="probabilities", opset=20)
        changed = onnx.load(graph)
        change(changed.graph)
        onnx.save(changed, graph)
        (tmp_path / "bundle").mkdir()
        bundle = build_bundle(
            tmp_path / "bundle",
            model=graph,
            name="wine",
            task="tabular-classification",
            precision="fp32",
            processor=processor,
            postprocessor=checkpoint.postprocessor(),
            serving=ServingSettings(),
            lineage=lineage,
            golden_rows=splits.test.inputs[:2],
        )
        return prove(bundle, source_of(checkpoint, splits), graph, ExportSettings())

    return prove_it


def test_evidence_counts_unusual_and_extreme_rows_when_a_forest_is_imported(proven):
    evidence = proven(Estimator(RandomForestClassifier(5, random_state=0)), ESTIMATOR)
    found = {one.right: (one.left, one.rows, one.max_difference) for one in evidence.parity}
    assert found["onnxruntime, extreme values"] == ("scikit-learn", 2 * 4, 0)
    left, rows, difference = found["onnxruntime, unusual values"]
    assert (left, difference) == ("scikit-learn", 0)
    assert rows > 4 * 4 + 100  # each column missing in four rows, and thresholds


def test_lost_direction_of_missing_values_is_caught_when_no_test_row_lacks_one(proven):
    def to_the_right(graph):
        (node,) = [one for one in graph.node if one.op_type == "TreeEnsemble"]
        (kept,) = [one for one in node.attribute if one.name == "nodes_missing_value_tracks_true"]
        assert any(kept.ints)
        kept.ints[:] = [0] * len(kept.ints)

    with pytest.raises(ParityError, match="missing, unseen or extreme values, or ones at a threshold"):
        proven(Estimator(RandomForestClassifier(5, random_state=0)), ESTIMATOR, to_the_right)


def test_other_side_of_a_threshold_is_caught_when_no_test_row_equals_one(proven):
    def exclusive(graph):
        (node,) = [one for one in graph.node if one.op_type == "LessOrEqual"]
        node.op_type = "Less"

    with pytest.raises(ParityError, match="missing, unseen or extreme values, or ones at a threshold"):
        proven(Rule(**ARGUMENTS), RULE, exclusive, ARGUMENTS)


def test_rule_is_proven_at_its_thresholds_when_it_is_imported(proven):
    evidence = proven(Rule(**ARGUMENTS), RULE, arguments=ARGUMENTS)
    assert {one.right for one in evidence.parity} >= {"onnxruntime, unusual values", "onnxruntime, extreme values"}


def test_rows_that_scikit_learn_refuses_are_left_out_when_it_takes_no_missing_values(splits, proven):
    model = make_pipeline(StandardScaler(), LogisticRegression())
    whole = dataclasses.replace(splits, train=splits.test)
    evidence = proven(Estimator(model), ESTIMATOR, splits=whole)
    assert [one.right for one in evidence.parity][2:] == ["onnxruntime, extreme values"]


def test_refusal_is_one_line_when_a_fitted_estimator_takes_no_missing_values(splits):
    model = LogisticRegression(max_iter=1000)
    model.fit([list(row.values()) for row in splits.test.inputs], [splits.labels[one] for one in splits.test.targets])
    with pytest.raises(
        ConfigError, match=r"^LogisticRegression does not take these rows: Input X contains NaN"
    ) as caught:
        Estimator(model).fit(splits, TabularProcessor(NAMES).fit(splits.train.inputs))
    assert len(str(caught.value).splitlines()) == 1
