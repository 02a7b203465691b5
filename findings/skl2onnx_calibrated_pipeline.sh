#!/usr/bin/env bash
# skl2onnx 1.20.0 converts CalibratedClassifierCV around a Pipeline to probabilities that are wrong by up to 0.5, without a word.
#
# scikit-learn calibrates the pipeline's decision function, which runs over all real numbers. The converter asks the
# pipeline's last step for probabilities instead and feeds those to the same sigmoid. Around the bare classifier, with
# the same data scaled beforehand, it is right. Scaling inside the calibrated pipeline is what scikit-learn's
# documentation recommends, so that each fold is scaled by itself.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import numpy as np, onnx, onnxruntime as ort, skl2onnx, sklearn
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

table, labels = load_breast_cancer(return_X_y=True)


def difference(model, rows):
    model.fit(rows, labels)
    graph = skl2onnx.to_onnx(
        model,
        initial_types=[("rows", DoubleTensorType([None, rows.shape[1]]))],
        options={id(model): {"zipmap": False}},
        target_opset=20,
    )
    found = ort.InferenceSession(graph.SerializeToString()).run(None, {"rows": rows})[1]
    return np.abs(found - model.predict_proba(rows)).max()


inside = CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression()), cv=2)
bare = CalibratedClassifierCV(LogisticRegression(), cv=2)
print("skl2onnx", skl2onnx.__version__, "scikit-learn", sklearn.__version__, "onnxruntime", ort.__version__)
wrong, right = difference(inside, table), difference(bare, StandardScaler().fit_transform(table))
print(f"expected: probabilities differ from scikit-learn's by less than 0.00001")
print(f"seen:     {wrong:.4f} around a pipeline; {right:.1e} around the bare classifier")
raise SystemExit(0 if wrong > 0.1 and right < 1e-5 else 1)
PY
"$folder/venv/bin/python" -W ignore "$folder/try.py"
