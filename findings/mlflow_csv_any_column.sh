#!/usr/bin/env bash
# MLflow 3.17.2's server refuses all CSV of a model whose signature has a column of type Any, as MLflow infers it from
# an input example with nothing in that column; it blames the CSV. The same rows as JSON are answered.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet mlflow==3.17.2 pandas==3.1.1 numpy==2.4.6 fastapi==0.165.0 starlette==1.10.0 httpx==0.28.1
export MLFLOW_TRACKING_URI="sqlite:///$folder/mlflow.db"
cat > model.py <<'PYTHON'
import mlflow


class Rows(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["size"].tolist()


mlflow.models.set_model(Rows())
PYTHON
venv/bin/python -W ignore - <<'PYTHON'
import json
import sys
import warnings

import mlflow
import pandas
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server

warnings.showwarning = lambda *_: None
print("mlflow", mlflow.__version__, "pandas", pandas.__version__)
rows = pandas.DataFrame({"size": [1.5, 2.5], "remark": ["good", "bad"]})


def answers(example, folder):
    signature = mlflow.models.infer_signature(example)
    mlflow.pyfunc.save_model(folder, python_model="model.py", signature=signature)
    client = TestClient(scoring_server.init(mlflow.pyfunc.load_model(folder)))
    records = json.dumps({"dataframe_records": rows.to_dict(orient="records")})
    forms = {"text/csv": rows.to_csv(index=False), "application/json": records}
    found = {}
    for form, body in forms.items():
        answer = client.post("/invocations", content=body, headers={"Content-Type": form})
        found[form] = answer.status_code
        text = answer.json()
        print(f"{signature.inputs}, {form}: {answer.status_code}", text.get("message") or text)
    return found


right = {"text/csv": 200, "application/json": 200}
print("expected: 200 for both, as with a signature from a full example:")
full = answers(rows, "full")
print("seen, with a signature from an example without remarks:")
bare = answers(rows.assign(remark=None), "bare")
sys.exit(0 if full == right and bare == {**right, "text/csv": 400} else 1)
PYTHON
