#!/usr/bin/env bash
# skl2onnx 1.20.0 leaves out the clip of MaxAbsScaler(clip=True), an argument that scikit-learn 1.9.1 has: numbers beyond those
# that were learnt go into the graph's next step as they are, in scikit-learn they stop at ±1. MinMaxScaler(clip=True) is right.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnxruntime as ort
import skl2onnx
import sklearn
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler

learnt = np.array([[-2.0], [4.0]], np.float32)
rows = np.array([[2.0], [40.0], [-4000.0]], np.float32)


def transformed(scaler):
    """The rows by scikit-learn and by the graph."""
    graph = skl2onnx.to_onnx(scaler.fit(learnt), learnt, target_opset=20)
    (found,) = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows})
    return scaler.transform(rows).ravel().tolist(), found.ravel().tolist()


print("skl2onnx", skl2onnx.__version__, "scikit-learn", sklearn.__version__, "onnxruntime", ort.__version__)
print("learnt from", learnt.ravel().tolist(), "transformed", rows.ravel().tolist())
found = [transformed(scaler) for scaler in (MinMaxScaler(clip=True), MaxAbsScaler(clip=True))]
for name, (expected, seen) in zip(("MinMaxScaler", "MaxAbsScaler"), found):
    print(f"{name}: expected {expected}, seen {seen}")
(least, same), (largest, other) = found
sys.exit(0 if np.allclose(least, same) and largest == [0.5, 1.0, -1.0] and other == [0.5, 10.0, -1000.0] else 1)
PY
