#!/usr/bin/env bash
# torchmetrics' R2Score sums y² and (Σy)² and subtracts them: targets that lie far from 0 for their spread get a wrong R²,
# without a warning. In float32, its default, 20,000 ± 5 is enough; after set_dtype(torch.float64), 1.7e9 ± 60.
# Expected: R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² of the same numbers, by numpy in float64, to three digits.
# Exits 0 as long as the behaviour stands, 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import torch
import torchmetrics
from torchmetrics import R2Score

print(f"torchmetrics {torchmetrics.__version__}, torch {torch.__version__}, numpy {np.__version__}")
wrong = []
for mean, deviation, dtype in ((0.0, 5.0, torch.float32), (20_000.0, 5.0, torch.float32), (1.7e9, 60.0, torch.float64)):
    random = np.random.default_rng(0)
    targets = torch.from_numpy(mean + deviation * random.normal(size=1000)).to(dtype)
    found = (targets.double() + 0.2 * deviation * torch.from_numpy(random.normal(size=1000))).to(dtype)
    metric = R2Score()
    if dtype is torch.float64:
        metric.set_dtype(dtype)
    for start in range(0, 1000, 100):
        metric.update(found[start : start + 100], targets[start : start + 100])
    true, seen = targets.double().numpy(), float(metric.compute())
    expected = 1 - np.square(true - found.double().numpy()).sum() / np.square(true - true.mean()).sum()
    print(f"targets {mean:g} ± {deviation:g} in {dtype}: expected {expected:.4f}, seen {seen:.4f}")
    wrong.append(abs(seen - expected) > 1e-3)
sys.exit(0 if wrong == [False, True, True] else 1)
PYTHON
