#!/usr/bin/env bash
# load_dataset("csv") decides a column's type for each block of 10,000 rows: in a block that looks numeric, 01 becomes 1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datasets==5.0.1 pandas==3.1.1 pyarrow==25.0.1
cd "$work"
HF_HOME="$work/hf" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'EOF'
import collections, csv, sys
import datasets

labels = ["n/k", "01", "02", "03"] * 2500 + ["01", "02", "1", "2"] * 2500 + ["x"] * 10000
with open("rows.csv", "w", newline="") as file:
    csv.writer(file).writerows([["label"], *([label] for label in labels)])
with open("rows.csv", newline="") as file:
    expected = collections.Counter(row["label"] for row in csv.DictReader(file))
found = collections.Counter(datasets.load_dataset("csv", data_files="rows.csv", split="train")["label"])
print("datasets", datasets.__version__, "python", sys.version.split()[0])
print("expected", dict(sorted(expected.items())))
print("seen    ", dict(sorted(found.items())))
sys.exit(0 if found != expected and found["1"] == 5000 and found["01"] == 2500 else 1)
EOF
