#!/usr/bin/env bash
# ONNX Runtime 1.31.1's graph optimiser rounds a float64 constant to float32 where it scales a product of matrices.
#
# MatMul and Mul by a scalar become com.microsoft.FusedMatMul, whose `alpha` is a float attribute. A graph in float64
# then answers with float32's seven digits, while its type says float64; with optimisation off it is right. Kernels
# (gamma times inner products) and attention in float64 are written this way.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

scale = 1 / 13
rows = np.random.default_rng(0).normal(size=(4, 8))
weights = np.random.default_rng(1).normal(size=(8, 3))
graph = helper.make_graph(
    [helper.make_node("MatMul", ["rows", "weights"], ["products"]), helper.make_node("Mul", ["products", "scale"], ["out"])],
    "scaled",
    [helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, 8])],
    [helper.make_tensor_value_info("out", TensorProto.DOUBLE, [None, 3])],
    [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array(scale), "scale")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model)


def error(level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": rows})
    expected = rows @ weights * scale
    return (np.abs(found - expected) / np.abs(expected)).max()


print("onnxruntime", ort.__version__, "onnx", onnx.__version__)
off, default = (error(getattr(ort.GraphOptimizationLevel, name)) for name in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"))
print("expected: relative error below 1e-14, as of float64")
print(f"seen:     {default:.1e} by default, {off:.1e} with optimisation off")
raise SystemExit(0 if default > 1e-9 and off < 1e-14 else 1)
PY
"$folder/venv/bin/python" "$folder/try.py"
