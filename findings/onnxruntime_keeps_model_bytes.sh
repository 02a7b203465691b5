#!/usr/bin/env bash
# ONNX Runtime 1.31.1 keeps the bytes that an InferenceSession was made from for as long as the session lives, beside
# its own copy of the weights: such a model takes twice its size. The session predicts the same without them; opened by
# its path, the same model keeps nothing. Upstream marks it as a TODO ("we're holding the memory indefinitely").
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import gc
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SIDE = 3600  # 52 MB of float32
MODEL = Path("model.onnx")


def save_product():
    weights = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["product"])],
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, SIDE])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, [None, SIDE])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), MODEL)


def traced_mb():
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1e6


def opened(read):
    """A session, and the megabytes of Python's memory that it holds."""
    before = traced_mb()
    session = ort.InferenceSession(read(), providers=["CPUExecutionProvider"])
    return session, traced_mb() - before


save_product()
size_mb = MODEL.stat().st_size / 1e6
rows = {"rows": np.ones((1, SIDE), np.float32)}
tracemalloc.start()
_, by_path = opened(lambda: str(MODEL))
session, by_bytes = opened(MODEL.read_bytes)
(with_them,) = session.run(None, rows)
before = traced_mb()
session._model_bytes = None
freed = before - traced_mb()
(without,) = session.run(None, rows)
same = np.array_equal(with_them, without)
print("onnxruntime", ort.__version__, "onnx", onnx.__version__)
print(f"expected: a session from bytes keeps as much of Python's memory as one from the path: {by_path:.1f} MB")
print(f"seen:     {by_bytes:.1f} MB, of a model of {size_mb:.1f} MB; without its _model_bytes {freed:.1f} MB are free,")
print("          and the session's predictions are", "the same" if same else "others")
held = by_bytes > 0.9 * size_mb and freed > 0.9 * size_mb and by_path < 0.1 * size_mb
sys.exit(0 if held and same else 1)
PY
