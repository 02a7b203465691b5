#!/usr/bin/env bash
# onnxmltools 1.16.0 converts LightGBM's linear trees (linear_tree=True) to their constants alone: of each leaf, the linear
# model that LightGBM fitted in it is left out. Nothing is refused or said, and the graph predicts like another model.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxmltools==1.16.0 skl2onnx==1.20.0 lightgbm==4.7.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime as ort
from lightgbm import LGBMRegressor
from onnxmltools.convert.common.data_types import FloatTensorType

random = np.random.default_rng(0)
rows = random.uniform(-3, 3, size=(1000, 3)).astype(np.float32)
values = 2 * rows[:, 0] + np.abs(rows[:, 1]) + 0.1 * random.normal(size=1000)


def scores(**settings):
    """R² of LightGBM and of its graph."""
    model = LGBMRegressor(n_estimators=10, num_leaves=3, learning_rate=0.5, verbose=-1, n_jobs=1, **settings).fit(rows, values)
    types = [("rows", FloatTensorType([None, 3]))]
    graph = onnxmltools.convert_lightgbm(model, initial_types=types, target_opset=15)
    found = ort.InferenceSession(graph.SerializeToString()).run(None, {"rows": rows})[0].ravel()
    return [1 - np.square(each - values).sum() / np.square(values - values.mean()).sum() for each in (model.predict(rows), found)]


print("onnxmltools", onnxmltools.__version__, "lightgbm", lightgbm.__version__, "onnxruntime", ort.__version__)
plain, linear = scores(), scores(linear_tree=True)
print(f"trees of constants: R² {plain[0]:.4f} of LightGBM, {plain[1]:.4f} of the graph")
print(f"linear trees: expected R² {linear[0]:.4f} as of LightGBM, or a refusal; seen {linear[1]:.4f} of the graph")
sys.exit(0 if abs(plain[0] - plain[1]) < 1e-4 and linear[0] - linear[1] > 0.02 else 1)
PY
