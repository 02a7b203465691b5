"""Twelve data sets as a stranger has them: `maas run FILE target=COLUMN` and nothing else, beside scikit-learn.

    python -m tests.benchmarks.bench_first_hour [NAME …] [seeds=3] [out=FOLDER] [flaml=PYTHON]

Each is run with seeds 0, 1, …; the split is one for all, as it is made by the rows' content. Beside it stands what a
user of scikit-learn would write first, fitted on the same training rows and evaluated on the same test rows:
HistGradientBoosting as it comes for tables, TF-IDF with logistic regression for texts, logistic regression on pixels
for pictures. Differences are in percentage points of the metric (accuracy, R², or balanced accuracy where labels are
rare), means over the seeds; minutes are those of the whole command of one seed, with registration in a new store of
MLflow, and of its processors, the most of all seeds. With the interpreter of an environment that has `flaml[automl]`,
tables have a column of FLAML's, which searches for as long as the whole command took.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import maas
from maas.lifecycle.recipe import load_rows
from tests.benchmarks.first_hour.data_sets import DATA_SETS, FirstHourData
from tests.benchmarks.first_hour.references import flaml_metric, reference_metric

ALLOWED_POINTS, ALLOWED_MINUTES = 0.5, 5.0
MAAS = (sys.executable, "-m", "maas.run")
CHECKOUT = Path.cwd()


@dataclass(frozen=True)
class Outcome:
    """What one seed gave.

    Args:
        metric: name of the metric.
        ours: of the bundle, on test rows.
        theirs: of the reference.
        flaml: of FLAML; None where it was not wanted, or the data is no table.
        minutes: of the line.
        worked: minutes of processor time of the line, all its processes together.
    """

    metric: str
    ours: float
    theirs: float
    flaml: float | None
    minutes: float
    worked: float


def main(names: list[str], seeds: int, out: Path, flaml: Path | None) -> None:
    """Runs and prints a table, a line as soon as a data set is done."""
    print("| data | metric | maas | scikit-learn | difference, points | FLAML | minutes | of processor time |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    kept = []
    for data in DATA_SETS:
        if not names or data.name in names:
            outcomes = [_outcome(data, seed, out, flaml) for seed in range(seeds)]
            kept.append(_row(data.name, outcomes))
    wanted = f"at most {ALLOWED_POINTS} points below, in less than {ALLOWED_MINUTES:g} minutes"
    print(f"\n{sum(kept)} of {len(kept)} are {wanted}")


def _outcome(data: FirstHourData, seed: int, out: Path, flaml: Path | None) -> Outcome:
    folder = out / data.name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / data.place).exists():
        data.write(folder / data.place)
    wanted = [f"target={data.target}"] if data.target else []
    command = [
        *MAAS,
        data.place,
        *wanted,
        f"out={data.name}.yaml",
        f"name={data.name}",
        f"seed={seed}",
    ]
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [*command, "resume=never"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    spent = ((time.monotonic() - begun) / 60, worked / 60)
    (folder / f"seed_{seed}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        sys.exit(f"{data.name}: {done.stderr or done.stdout[-2000:]}")
    evidence = maas.load(folder / "runs" / data.name / "latest" / "bundle").evidence
    os.chdir(folder)
    config = maas.compose(f"{data.name}.yaml", f"name={data.name}")
    splits = load_rows(config)
    theirs = reference_metric(data.reference, splits, config.metric, seed)
    is_wanted = flaml is not None and data.reference == "boosting"
    searched = flaml_metric(flaml, splits, config.metric, seed, 60 * spent[0]) if is_wanted else None
    return Outcome(config.metric, evidence.metrics["shipped"][config.metric].value, theirs, searched, *spent)


def _row(name: str, outcomes: list[Outcome]) -> bool:
    """Prints a line, and returns whether it is as good as is wanted."""
    fields = ("ours", "theirs", "minutes", "worked")
    ours, theirs, minutes, worked = ([getattr(one, field) for one in outcomes] for field in fields)
    points = 100 * (statistics.mean(ours) - statistics.mean(theirs))
    slowest = max(minutes)
    shown = [f"{statistics.mean(values):.4f} ± {statistics.pstdev(values):.4f}" for values in (ours, theirs)]
    searched = [one.flaml for one in outcomes if one.flaml is not None]
    other = f"{statistics.mean(searched):.4f} ± {statistics.pstdev(searched):.4f}" if searched else "–"
    times = (f"{slowest:.1f}", f"{max(worked):.1f}")
    found = " | ".join([name, outcomes[0].metric, *shown, f"{points:+.2f}", other, *times])
    print(f"| {found} |", flush=True)
    return points >= -ALLOWED_POINTS and slowest < ALLOWED_MINUTES


if __name__ == "__main__":
    settings = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    chosen = [word for word in sys.argv[1:] if "=" not in word]
    if unknown := set(chosen) - {data.name for data in DATA_SETS}:
        sys.exit(f"There is no data set {', '.join(unknown)}; there are {', '.join(data.name for data in DATA_SETS)}.")
    folder = Path(settings.get("out") or tempfile.mkdtemp()).absolute()
    flaml = Path(settings["flaml"]).absolute() if "flaml" in settings else None
    main(chosen, int(settings.get("seeds", 3)), folder, flaml)
