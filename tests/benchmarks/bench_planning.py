"""What `maas.plan` says of a recipe against what the recipe takes.

    python tests/benchmarks/bench_planning.py PLANS RECIPE [key=value …]

The recipe is planned so many times, then trained, then taken through the rest of the line. Seconds are of CPU time, of
the process and of those that it started, on both sides: on one thread they are those of a machine that has nothing
else to do, whoever works beside it. Those of the run are what its stages keep of themselves; the peak is what the
system says of the process that trains; bytes are those of the ONNX files.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LATER = ("compress", "export")
CLOCK = """
import resource, time
process_time = time.process_time
def cpu_time():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime
time.perf_counter = cpu_time
"""
"""What every process runs as it starts."""


def main(plans_wanted: str, recipe: str, *overrides: str) -> None:
    """Plans, trains, runs the rest, and prints a table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        where = [f"runs_dir={folder / 'runs'}", f"registry.tracking_uri=sqlite:///{folder / 'mlflow.db'}"]
        where += [f"registry.artifacts={folder / 'mlartifacts'}"]
        command = [f"recipe={recipe}", *overrides, *where]
        (folder / "clock").mkdir()
        (folder / "clock" / "sitecustomize.py").write_text(CLOCK)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "clock"), os.environ.get("PYTHONPATH", "")])
        os.environ["OMP_NUM_THREADS"] = "1"
        os.environ["MAAS_CACHE"] = str(folder / "cache")
        plans = [planned(command) for _ in range(int(plans_wanted))]
        planning_s = cpu_s() / len(plans)
        training_peak = peak_of("maas.train", command)
        peak_of("maas.run", command)
        run = next((folder / "runs").glob("*/latest"))
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        seconds["export"] += seconds["verify"]  # a plan has one stage for both
        models = {file.stem: file.stat().st_size for file in (run / "compress").glob("*.onnx")}
    print(f"A plan of {recipe} took {planning_s:.0f} s.")
    print("| recipe | what | predicted | true | median / true |\n|---|---|---|---|---|")
    trained = [sum(seconds_of(plan, name) for name in ("pretrain", "train", "folds")) for plan in plans]
    show(recipe, "training, s", trained, seconds["train"])
    for name in LATER:
        show(recipe, f"{name}, s", [seconds_of(plan, name) for plan in plans], seconds[name])
    together = [sum(seconds_of(plan, name) for name in ("pretrain", "train", "folds", *LATER)) for plan in plans]
    show(recipe, "all of these, s", together, sum(seconds[name] for name in ("train", *LATER)))
    show(recipe, "peak of training, MB", [peak(plan) for plan in plans], training_peak)
    for name, true in sorted(models.items()):
        show(recipe, f"{name}, bytes", [plan["artifact_bytes"][name] for plan in plans], true)


def planned(command: list[str]) -> dict[str, Any]:
    """Returns a plan."""
    done = subprocess.run([sys.executable, "-m", "maas.plan", "--json", *command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def cpu_s() -> float:
    """Returns the CPU time of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_of(verb: str, command: list[str]) -> float:
    """Runs a verb in a process of its own; returns the most memory that it held, in MB."""
    process = subprocess.Popen([sys.executable, "-m", verb, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{verb} ended with {status}.")
    return usage.ru_maxrss * 1024 / 1e6


def seconds_of(plan: dict[str, Any], name: str) -> float:
    """Returns the seconds of a stage; 0 where there is none."""
    return sum(stage["seconds"] for stage in plan["stages"] if stage["name"] == name)


def peak(plan: dict[str, Any]) -> float:
    """Returns the planned peak of training, in MB."""
    return next(stage["peak_bytes"] for stage in plan["stages"] if stage["name"] == "train") / 1e6


def show(recipe: str, what: str, predicted: list[float], true: float) -> None:
    """Prints a row."""
    shown, truth = ", ".join(map(figure, predicted)), figure(true)
    print(f"| `{recipe}` | {what} | {shown} | {truth} | {statistics.median(predicted) / true:.2f} |", flush=True)


def figure(value: float) -> str:
    """Returns a number with three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
