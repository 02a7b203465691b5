"""`make bench`: the training loop, serving of the newest bundle of every recipe that was run, and hostile requests.

python -m tests.benchmarks [training] [serving] [hostile] [neighbours] [soak] [compression]

`neighbours` and `soak` take minutes, and `compression` lets tools work for as long as maas' own search took, on the
newest run of every recipe; they are not made unless they are asked for.
"""

import sys
from pathlib import Path

from tests.benchmarks import (
    bench_compression,
    bench_hostile,
    bench_neighbours,
    bench_serving,
    bench_soak,
    bench_training,
)


def serving() -> None:
    """Every bundle below `runs/`, one after the other."""
    for bundle in newest("bundle"):
        bench_serving.main(str(bundle))


def compression() -> None:
    """Every compressed run below `runs/`, one after the other."""
    for compressed in newest("compress"):
        bench_compression.main(str(compressed.parent))


def newest(artifact: str) -> list[Path]:
    """Returns an artifact of the newest run of every recipe."""
    found = sorted(Path("runs").glob(f"*/latest/{artifact}"))
    if not found:
        sys.exit(f"There is no {artifact} below runs/ to measure; run make run first.")
    return found


BENCHMARKS = {
    "training": bench_training.main,
    "serving": serving,
    "hostile": bench_hostile.main,
    "neighbours": bench_neighbours.main,
    "soak": bench_soak.main,
    "compression": compression,
}
USUAL = ("training", "serving", "hostile")

for name in sys.argv[1:] or USUAL:
    if name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name}; there are {', '.join(BENCHMARKS)}.")
    BENCHMARKS[name]()
