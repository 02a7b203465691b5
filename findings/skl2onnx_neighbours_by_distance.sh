#!/usr/bin/env bash
# skl2onnx 1.20.0 converts KNeighborsRegressor(weights="distance") to a graph that weights all neighbours alike: it is
# weights="uniform" in all but name. The graph does hold the weights, 1 / max(d, 1e-6), but it puts −d for d there, so that
# each of them is 1 / 1e-6. Even a row that was learnt does not get its own value. KNeighborsClassifier shares the code.
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
from sklearn.datasets import load_diabetes
from sklearn.neighbors import KNeighborsRegressor

rows, values = load_diabetes(return_X_y=True)
rows, values = rows.astype(np.float32), values.astype(np.float32)
learnt, new = slice(0, 300), slice(300, None)
weighted, uniform = (
    KNeighborsRegressor(weights=weights).fit(rows[learnt], values[learnt]) for weights in ("distance", "uniform")
)
graph = skl2onnx.to_onnx(weighted, rows[:1], target_opset=20)
found = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows})[0].ravel()
print("skl2onnx", skl2onnx.__version__, "scikit-learn", sklearn.__version__, "onnxruntime", ort.__version__)
for name, part in (("a row that was learnt", learnt), ("a new row", new)):
    expected, alike = weighted.predict(rows[part])[0], uniform.predict(rows[part])[0]
    print(f"{name}: expected {expected:.2f}, seen {found[part][0]:.2f}; with weights='uniform' {alike:.2f}")
far = np.abs(found - weighted.predict(rows)).max()
close = np.abs(found - uniform.predict(rows)).max()
print(f"at most {far:.1f} away from the estimator that was converted, {close:.1e} from that with uniform weights")
sys.exit(0 if far > 10 and close < 1e-2 else 1)
PY
