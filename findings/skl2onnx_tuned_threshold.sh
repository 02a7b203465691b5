#!/usr/bin/env bash
# skl2onnx 1.20.0 converts TunedThresholdClassifierCV without its threshold: the graph's labels are those of the classifier
# inside, at 0.5. What was tuned for, here the balanced accuracy of a rare class, is lost without a word.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnxruntime as ort
import skl2onnx
import sklearn
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import TunedThresholdClassifierCV

rows, labels = make_classification(1000, weights=[0.9], class_sep=0.5, random_state=0)
rows = rows.astype(np.float32)
model = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy", cv=3).fit(rows, labels)
graph = skl2onnx.to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}, target_opset=20)
session = ort.InferenceSession(graph.SerializeToString())
found, probabilities = session.run(None, {"X": rows})
expected = model.predict(rows)
same = np.allclose(probabilities, model.predict_proba(rows), atol=1e-5)
print("skl2onnx", skl2onnx.__version__, "scikit-learn", sklearn.__version__, "onnxruntime", ort.__version__)
print(f"threshold {model.best_threshold_:.3f}, probabilities {'equal' if same else 'differ'}")
print(f"expected: label 1 for {expected.sum()} of 1,000 rows, recall {recall_score(labels, expected):.3f}")
print(f"seen:     label 1 for {found.sum()} of 1,000 rows, recall {recall_score(labels, found):.3f}")
at_half = (probabilities[:, 1] > 0.5).astype(int)
sys.exit(0 if same and np.array_equal(found, at_half) and expected.sum() > 2 * found.sum() else 1)
PY
