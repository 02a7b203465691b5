#!/usr/bin/env bash
# onnxscript 0.7.2's optimiser merges two Clips, or Clip and Relu, to one that gives other numbers where their ranges do not
# meet: a Relu after a Clip to -2 … -1 then answers -1, in place of 0.
#
# It takes the larger minimum and the smaller maximum, here 0 and -1. ONNX's Clip gives the maximum to all numbers if it is
# below the minimum, so that the first step's bound wins, where the last step's has to. The rules are part of
# optimizer.optimize(), which torch.onnx.export of PyTorch 2.13 calls unasked. ONNX Runtime's own fusion is right.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxscript==0.7.2 onnx-ir==1.1.0 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
import onnxscript
from onnx.reference import ReferenceEvaluator
from onnxscript import optimizer

print("onnxscript", onnxscript.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
x = np.array([-3, -1.5, 0, 0.7, 3], np.float32)
bodies = {
    "Relu(Clip(x, -2, -1))": ("low = {-2.0}, float high = {-1.0}", "y = Relu(inner)"),
    "Clip(Clip(x, -2, -1), 0.5, 1)": (
        "low = {-2.0}, float high = {-1.0}, float next_low = {0.5}, float next_high = {1.0}",
        "y = Clip(inner, next_low, next_high)",
    ),
}
seen, expected = [], []
for name, (bounds, last) in bodies.items():
    text = f"""<ir_version: 10, opset_import: ["": 20]>
    net (float[N] x) => (float[N] y) <float {bounds}> {{ inner = Clip(x, low, high) {last} }}"""
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    reference = ReferenceEvaluator(model).run(None, {"x": x})[0].tolist()
    runtime = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].tolist()
    smaller = optimizer.optimize(model)
    seen.append(ReferenceEvaluator(smaller).run(None, {"x": x})[0].tolist())
    expected.append(runtime)
    assert reference == runtime, "the graph as it was given"
    print(name, "expected", runtime, "as by ONNX Runtime and the reference evaluator")
    print(name, "seen    ", seen[-1], "after optimize(), by", [node.op_type for node in smaller.graph.node])
sys.exit(0 if expected == [[0.0] * 5, [0.5] * 5] and seen == [[-1.0] * 5, [-1.0] * 5] else 1)
PY
