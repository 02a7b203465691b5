#!/usr/bin/env bash
# pyarrow 25.0.1 reads a CSV column of whole numbers above 2⁶³ − 1, such as unsigned 64-bit hashes, as float64: ids that
# differ become one, without a word. pandas.read_csv gives uint64, but with engine="pyarrow" it gives Arrow's float64, and
# so it groups and joins other rows. polars 2.1.0 and DuckDB 2.0.1 take a wider whole number.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==25.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
from pyarrow import csv

ids = [16045690984503098046, 16045690984503098047, 16045690984503098048, 42]
with open("rows.csv", "w") as file:
    file.writelines(f"{each}\n" for each in ["id", *ids])
print("pyarrow", pa.__version__, "pandas", pd.__version__, "polars", pl.__version__, "duckdb", duckdb.__version__)
found = {
    "pandas.read_csv": pd.read_csv("rows.csv")["id"].tolist(),
    "polars.read_csv": pl.read_csv("rows.csv")["id"].to_list(),
    "duckdb.read_csv": [row[0] for row in duckdb.read_csv("rows.csv").fetchall()],
    "pyarrow.csv.read_csv": csv.read_csv("rows.csv")["id"].to_pylist(),
    'pandas.read_csv(engine="pyarrow")': pd.read_csv("rows.csv", engine="pyarrow")["id"].tolist(),
}
print("expected", ids, "which are 4 ids")
for name, values in found.items():
    print("seen    ", values, f"which are {len(set(values))}, by {name}")
right = all(found[name] == ids for name in list(found)[:3])
sys.exit(0 if right and all(len(set(found[name])) == 2 for name in list(found)[3:]) else 1)
PY
