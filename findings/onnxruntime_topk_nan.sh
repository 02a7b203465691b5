#!/usr/bin/env bash
# ONNX Runtime 1.31.1's TopK loses the largest numbers of a row with one NaN in it, and the NaN's place decides which: of 16
# numbers, of which the second is NaN, the two largest are said to be 0 and NaN. With the NaN elsewhere it is left out
# as if it were the smallest. numpy, torch and onnx's reference evaluator count NaN as the largest, wherever it stands.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

graph = helper.make_graph(
    [helper.make_node("TopK", ["scores", "k"], ["largest", "places"], axis=1)],
    "largest",
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 16])],
    [
        helper.make_tensor_value_info("largest", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("places", TensorProto.INT64, [None, 2]),
    ],
    [numpy_helper.from_array(np.array([2]), "k")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print("onnxruntime", ort.__version__, "onnx", onnx.__version__, "numpy", np.__version__)
print("scores: 0, 1, …, 15, of which one is NaN; the two largest of them")
found = {}
for place in (1, 8):
    scores = np.arange(16, dtype=np.float32)[None]
    scores[0, place] = np.nan
    found[place] = session.run(None, {"scores": scores})[0][0].tolist()
    reference = ReferenceEvaluator(model).run(None, {"scores": scores})[0][0].tolist()
    print(f"NaN at {place}: expected [nan, 15.0], or [15.0, 14.0] without NaN; the reference evaluator gives {reference}")
    print(f"          seen {found[place]}")
sys.exit(0 if found[1][0] == 0.0 and np.isnan(found[1][1]) and found[8] == [15.0, 14.0] else 1)
PY
