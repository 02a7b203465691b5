#!/usr/bin/env bash
# onnxmltools 1.16.0 converts XGBoost's forests of several classes to a graph in which trees vote for the wrong class.
# XGBoost orders trees by class, then within it num_parallel_tree trees in a row; the converter gives tree i to class
# i mod K. XGBRFClassifier, and XGBClassifier with num_parallel_tree above 1, then name other labels for a large part of the
# rows, without a warning. With one tree a class and round, the default, it is right.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxmltools==1.16.0 skl2onnx==1.20.0 xgboost-cpu==3.2.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnxmltools
import onnxruntime as ort
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_wine
from xgboost import XGBClassifier, XGBRFClassifier

rows, labels = load_wine(return_X_y=True)
rows = rows.astype(np.float32)


def equal_labels(model):
    model.fit(rows, labels)
    types = [("rows", FloatTensorType([None, rows.shape[1]]))]
    graph = onnxmltools.convert_xgboost(model, initial_types=types, target_opset=15)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(graph.SerializeToString(), options)
    return np.mean(session.run(None, {"rows": rows})[0] == model.predict(rows))


print("onnxmltools", onnxmltools.__version__, "xgboost", xgboost.__version__, "onnxruntime", ort.__version__)
boosted = equal_labels(XGBClassifier(n_estimators=10, max_depth=3))
parallel = equal_labels(XGBClassifier(n_estimators=10, max_depth=3, num_parallel_tree=2, subsample=0.7, random_state=0))
forest = equal_labels(XGBRFClassifier(n_estimators=10, random_state=0))
print(f"expected: 100% of the labels of XGBoost, as of one tree a class and round: {boosted:.0%}")
print(f"seen:     {parallel:.0%} with num_parallel_tree=2, {forest:.0%} of XGBRFClassifier")
sys.exit(0 if boosted == 1 and parallel < 0.9 and forest < 0.9 else 1)
PY
