#!/usr/bin/env bash
# mlflow.models.evaluate fails on a text column under pandas 3: its SHAP evaluator passes pandas' StringDtype to
# numpy.issubdtype, where it means to skip columns that are not numeric.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet mlflow==3.17.2 pandas==3.1.1 scikit-learn==1.9.1
export MLFLOW_TRACKING_URI="sqlite:///$folder/mlflow.db"
venv/bin/python - <<'PYTHON'
import sys
import warnings

import mlflow
import numpy
import pandas

warnings.filterwarnings("ignore")
print("mlflow", mlflow.__version__, "pandas", pandas.__version__, "numpy", numpy.__version__)
data = pandas.DataFrame({"text": ["good", "bad", "good", "bad"], "target": [1, 0, 1, 0]})


def predict(rows):
    return (rows["text"] == "good").astype(int)


print("expected: accuracy_score 1.0, as of the same column stored as objects:")
plain = data.astype({"text": object})
print("   ", mlflow.models.evaluate(predict, plain, targets="target", model_type="classifier").metrics["accuracy_score"])
try:
    found = mlflow.models.evaluate(predict, data, targets="target", model_type="classifier").metrics["accuracy_score"]
except TypeError as error:
    print("seen: TypeError:", error)
    sys.exit(0)
print("seen:", found, "(the behaviour has changed)")
sys.exit(1)
PYTHON
