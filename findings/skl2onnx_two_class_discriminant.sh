#!/usr/bin/env bash
# skl2onnx 1.20.0 converts LinearDiscriminantAnalysis of two classes to probabilities of twice the log odds: p² / (p² + q²) in
# place of p. Labels are right, so that only who compares probabilities finds it; three classes are right.
# The graph applies softmax to (−s, s), where scikit-learn applies the sigmoid to s.
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
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

rows, labels = load_wine(return_X_y=True)
rows = rows[:, :2].astype(np.float32)


def probabilities(chosen):
    model = LinearDiscriminantAnalysis().fit(rows[chosen], labels[chosen])
    graph = skl2onnx.to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}, target_opset=20)
    names, found = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows[chosen]})
    return model.predict_proba(rows[chosen]), found, np.mean(names == model.predict(rows[chosen]))


print("skl2onnx", skl2onnx.__version__, "scikit-learn", sklearn.__version__, "onnxruntime", ort.__version__)
three, found_three, same_three = probabilities(labels < 3)
two, found_two, same_two = probabilities(labels > 0)
squared = two**2 / np.sum(two**2, axis=1, keepdims=True)
largest = np.abs(found_two - two).max(axis=1).argmax()
print(f"three classes: at most {np.abs(found_three - three).max():.1e} apart, {same_three:.0%} of the labels equal")
print(f"two classes:   at most {np.abs(found_two - two).max():.3f} apart, {same_two:.0%} of the labels equal")
print(f"expected: {two[largest].round(4)}")
print(f"seen:     {found_two[largest].round(4)}")
is_squared = np.allclose(found_two, squared, atol=1e-4)
sys.exit(0 if is_squared and np.abs(found_two - two).max() > 0.1 and np.abs(found_three - three).max() < 1e-4 else 1)
PY
