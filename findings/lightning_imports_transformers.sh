#!/usr/bin/env bash
# `import lightning` imports transformers where that is installed, although nothing in it uses it: it imports torchmetrics
# to compare its version, and `torchmetrics/functional/text/bert.py` imports AutoModel and AutoTokenizer at its top.
# Expected: what is installed beside a library changes neither what its import loads nor how long that takes.
# Prints the processor's seconds of both imports; exits 0 as long as the behaviour stands, 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
cat > try.py <<'PY'
import importlib.metadata
import sys
import time

import torch  # noqa: F401  what both imports have in common

start = time.process_time()
import lightning  # noqa: F401

spent, loaded = time.process_time() - start, "transformers" in sys.modules
versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("lightning", "torchmetrics"))
print(f"{versions}: {spent:.1f} s, {len(sys.modules)} modules, transformers {'loaded' if loaded else 'not loaded'}")
sys.exit(0 if loaded == (sys.argv[1] == "beside") else 1)
PY
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 lightning==2.6.6 torchmetrics==1.9.0 "numpy==2.4.6"
venv/bin/python -W ignore try.py alone
venv/bin/pip install --quiet --disable-pip-version-check transformers==4.57.6
venv/bin/python -W ignore try.py beside
