"""`make bench`: the training loop, and serving of the newest bundle of every recipe that was run.

python -m tests.benchmarks [training] [serving]
"""

import sys
from pathlib import Path

from tests.benchmarks import bench_serving, bench_training


def serving() -> None:
    """Every bundle below `runs/`, one after the other."""
    bundles = sorted(Path("runs").glob("*/latest/bundle"))
    if not bundles:
        sys.exit("There is no bundle below runs/ to serve; run make run first.")
    for bundle in bundles:
        bench_serving.main(str(bundle))


BENCHMARKS = {"training": bench_training.main, "serving": serving}

for name in sys.argv[1:] or BENCHMARKS:
    if name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name}; there are {', '.join(BENCHMARKS)}.")
    BENCHMARKS[name]()
