#!/usr/bin/env bash
# treelite 4.8.1 imports scikit-learn's GradientBoostingClassifier(loss="exponential") with probabilities that are too close
# to 0.5, by up to 0.15: it applies the sigmoid to the sum of the trees, where scikit-learn applies it to twice that sum.
#
# The exponential loss estimates half the log odds (Friedman, Hastie and Tibshirani 2000, "Additive logistic regression",
# lemma 1), and so scikit-learn's predict_proba has p = 1 / (1 + exp(-2 s)). The import takes every loss for the log loss and
# says nothing. Labels are right, as s = 0 is the border of both; whoever ranks costs or tunes a threshold gets other rows.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet treelite==4.8.1 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import sklearn
import treelite
from scipy.special import expit
from sklearn.ensemble import GradientBoostingClassifier

print("treelite", treelite.__version__, "scikit-learn", sklearn.__version__)
draw = np.random.default_rng(0)
rows = draw.normal(size=(500, 4))
labels = (rows[:, 0] + 0.5 * draw.normal(size=500) > 0).astype(int)
differences = {}
for loss in ("log_loss", "exponential"):
    model = GradientBoostingClassifier(loss=loss, n_estimators=20, random_state=0).fit(rows, labels)
    expected = model.predict_proba(rows)[:, 1]
    seen = np.ravel(treelite.gtil.predict(treelite.sklearn.import_model(model), rows))
    differences[loss] = np.abs(seen - expected).max()
    print(f"{loss}: expected {expected[:4].round(4)}, seen {seen[:4].round(4)}, largest difference {differences[loss]:.2g}")
scores = model.decision_function(rows)
is_one = np.allclose(seen, expit(scores), atol=1e-6) and np.allclose(expected, expit(2 * scores), atol=1e-6)
sys.exit(0 if is_one and differences["log_loss"] < 1e-6 and differences["exponential"] > 0.1 else 1)
PY
