#!/usr/bin/env bash
# onnx 1.23.2's reference evaluator adds the leaf of another tree where a tree of TreeEnsemble is one leaf.
#
# Such a tree is written as a node whose two branches lead to one leaf. The evaluator sees that, and then takes
# leaf_weights at the place of the node among the nodes, where the leaf has a place of its own among the leaves. As long
# as all trees before it are single leaves too, both are the same number; after a tree with branches they are not.
# Gradient boosting makes such trees as soon as a class is learnt. ONNX Runtime adds the right one.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

node = helper.make_node(
    "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, aggregate_function=1, post_transform=0,
    tree_roots=[0, 1],  # a branch to the leaves 0 and 1; then the leaf 2 alone
    nodes_modes=numpy_helper.from_array(np.zeros(2, dtype=np.uint8)),
    nodes_splits=numpy_helper.from_array(np.array([0.0, 0.0])),
    nodes_featureids=[0, 0], nodes_missing_value_tracks_true=[0, 0],
    nodes_truenodeids=[0, 2], nodes_trueleafs=[1, 1], nodes_falsenodeids=[1, 2], nodes_falseleafs=[1, 1],
    leaf_targetids=[0, 0, 0], leaf_weights=numpy_helper.from_array(np.array([10.0, 20.0, 300.0])),
)
graph = helper.make_graph(
    [node], "trees",
    [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 1])],
    [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 1])],
)
versions = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
model = helper.make_model(graph, opset_imports=versions, ir_version=10)
onnx.checker.check_model(model)
rows = {"x": np.array([[-1.0], [1.0]])}
print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
reference = ReferenceEvaluator(model).run(None, rows)[0].ravel().tolist()
runtime = ort.InferenceSession(model.SerializeToString()).run(None, rows)[0].ravel().tolist()
print("expected: [310.0, 320.0]")
print(f"seen:     {reference} of the reference evaluator, {runtime} of ONNX Runtime")
raise SystemExit(0 if reference != [310.0, 320.0] == runtime else 1)
PY
"$folder/venv/bin/python" -W ignore "$folder/try.py"
