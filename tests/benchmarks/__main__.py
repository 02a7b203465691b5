"""`make bench`: every benchmark of this folder on the newest bundle of every recipe that was run."""

import sys
from pathlib import Path

from tests.benchmarks import bench_serving

bundles = sorted(Path("runs").glob("*/latest/bundle"))
if not bundles:
    sys.exit("There is no bundle below runs/; run make run first.")
for bundle in bundles:
    bench_serving.main(str(bundle))
