#!/usr/bin/env bash
# pandas.read_json with nullable dtypes rounds whole numbers above 2^53 in a column with a gap, and says Int64 all the same.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pandas==3.1.1
"$work/venv/bin/python" - <<'EOF'
import io, sys
import pandas as pd

rows = '[{"id": 9007199254740993}, {"id": 9007199254740995}, {"id": null}]'
found = pd.read_json(io.StringIO(rows), dtype_backend="numpy_nullable")["id"]
print("pandas", pd.__version__, "python", sys.version.split()[0])
print("input    9007199254740993, 9007199254740995, null")
print("expected Int64 [9007199254740993, 9007199254740995, <NA>], as read_csv(dtype_backend='numpy_nullable') gives it")
print("seen    ", found.dtype, found.tolist())
sys.exit(0 if str(found.dtype) == "Int64" and found.tolist()[:2] == [9007199254740992, 9007199254740996] else 1)
EOF
