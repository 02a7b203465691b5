#!/usr/bin/env bash
# numpy.quantile and percentile give numbers outside their data for int8 and int16: the median of -20000 and 20000 is 32768.
#
# Between two neighbours numpy adds a share of their difference, and takes that difference in the data's own type, where it
# wraps. Its documentation promises float64 for integers, and float64 is what it returns; median() averages, and is right.
# Nothing is said if several shares are asked for at once, else numpy warns of an overflow in code of its own. Sound in int16
# and quantised tensors in int8 have such neighbours, and pandas' describe() repeats it. Upstream a change is open as pull
# request 30376.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pandas as pd

print("numpy", np.__version__, "pandas", pd.__version__)
is_so = True
for dtype, high in ((np.int8, 100), (np.int16, 20_000)):
    wave = np.array([-high] * 500 + [high] * 500, dtype)
    exact = np.quantile(wave.astype(np.float64), [0.25, 0.5, 0.75]).tolist()
    found = np.quantile(wave, [0.25, 0.5, 0.75])
    print(f"{dtype.__name__}: expected quartiles {exact}, as of the same numbers in float64; median() says {np.median(wave)}")
    print(f"{dtype.__name__}: seen quartiles     {found.tolist()} in {found.dtype}, though the largest number is {wave.max()}")
    described = pd.Series(wave).describe()["50%"]
    print(f"{dtype.__name__}: nanpercentile {np.nanpercentile(wave, 50)}, pandas' describe() {described}")
    is_so &= exact[1] == np.median(wave) == 0 and found[1] == np.nanpercentile(wave, 50) == described > wave.max()
sys.exit(0 if is_so else 1)
PY
