"""Whether a change of the code changed what recipes give: trained weights, fp32 graphs, test metrics, choices.

`compare_recipes.py record CHECKOUT FOLDER [NAME …]` takes every line below through the command line of a checkout (by
its own `.venv`), one after another, and leaves FOLDER/LINE.json; a line that has its file is not run again.
`compare_recipes.py compare BEFORE AFTER [CHECKOUT CHECKOUT]` prints both folders side by side and ends with 1 where
they differ; with the checkouts that made them, both choose again by the latencies that BEFORE recorded, as no two
clocks agree.

Three recipes run whole, the others on few rows for one epoch. It is no test: it takes an hour.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

QUIET = ["registry=null", "resume=never", "export.robustness_rows=6"]
LENIENT = ["++compress.budget.max_drop=60", "++compress.budget.min_agreement=0.4", "export.min_agreement=0.4"]
LENIENT += [
    "++compress.budget.speedup=0.4",
    "++compress.budget.min_shrink=1.05",
    "++compress.budget.max_batch_effect=1",
]
"""So that of few rows something is chosen at all, and the choice hangs on sizes and times."""
WHOLE = ("digits_mlp", "sentiment_zh", "flights")
ROWS = {
    "reviews_minilm": 96,
    "reviews_minilm_lora": 96,
    "embed_minilm": 96,
    "sentiment_zh_bert": 200,
    "import_onnx": 400,
}
OWN = {
    "commands": ["data.source.takes=1"],
    "import_keras": ["model.epochs=2"],
    "sentiment_zh_bert": ["pretrain.epochs=1"],
    "faces": ["folds=2"],
}
UNTRAINED = ("embed_minilm", "import_keras", "import_onnx", "import_sklearn", "import_sklearn_tree", "rules")
DRILLS = {
    "digits_mlp+prune": "recipe=digits_mlp compress=prune trainer.max_epochs=4 compress.passes.distil.epochs=3",
    "digits_mlp+search": (
        "recipe=digits_mlp compress=search compress.trials=4 trainer.max_epochs=4 compress.passes.distil.epochs=3"
    ),
    "sentiment_zh_bert+layers": (
        "recipe=sentiment_zh_bert compress={layers} trainer.max_epochs=1 baseline=null pretrain=null "
        "compress.passes.distil.epochs=1 +data.max_rows=200"
    ),
}
"""Lines in addition to recipes: chains of passes that train, a search."""
RENAMED = {"layers": ("prune_layers", "prune_depth", "cut")}
"""Parts of the vocabulary by all names they had; the first that the checkout has is taken."""


@dataclass(frozen=True)
class Line:
    """One command: a name for its file, and what follows `python -m maas.run`."""

    name: str
    overrides: tuple[str, ...]


def lines(checkout: Path) -> Iterator[Line]:
    """Yields all lines of a checkout's recipes, those that run whole first."""
    names = sorted(path.stem for path in (checkout / "recipes").glob("*.yaml"))
    yield from (Line(name, (f"recipe={name}", *QUIET)) for name in WHOLE)
    for name in names:
        if name not in WHOLE:
            short = [f"+data.max_rows={ROWS.get(name, 300)}", "baseline=null", *LENIENT, *OWN.get(name, [])]
            short += [] if name in UNTRAINED else ["trainer.max_epochs=1"]
            yield Line(name, (f"recipe={name}", *QUIET, *short))
    yield from (Line(name, (*overrides.split(), *QUIET, *LENIENT)) for name, overrides in DRILLS.items())


def record(checkout: Path, folder: Path, chosen: Sequence[str] = ()) -> None:
    """Runs the lines that have no file yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in lines(checkout):
        place = folder / f"{line.name}.json"
        if place.exists() or (chosen and line.name not in chosen):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = ran(checkout, line, Path(scratch))
        place.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
        sys.stderr.write(f"{line.name}: {found.get('fault', 'done')}\n")


def ran(checkout: Path, line: Line, scratch: Path) -> dict[str, Any]:
    """Runs one line and reads what it left."""
    overrides = [translated(checkout, one) for one in line.overrides]
    command = [str(checkout / ".venv/bin/python"), "-m", "maas.run", *overrides, f"runs_dir={scratch / 'runs'}"]
    environment = {**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: nothing kept the budget
        return {"fault": f"status {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"}
    (run,) = [path for path in (scratch / "runs").glob("*/*") if path.is_dir() and not path.is_symlink()]
    return reading(run)


def translated(checkout: Path, override: str) -> str:
    """Fills in the names that parts of the vocabulary have in a checkout."""
    for key, names in RENAMED.items():
        if f"{{{key}}}" in override:
            known = [name for name in names if list((checkout / "conf").glob(f"*/{name}.yaml"))]
            return override.replace(f"{{{key}}}", known[0])
    return override


def reading(run: Path) -> dict[str, Any]:
    """Reads the folder of a finished run."""
    checkpoint, evidence = run / "train", json.loads(only(run, "evidence.json").read_text(encoding="utf-8"))
    compression = json.loads(only(run, "compression.json").read_text(encoding="utf-8"))
    weights = [checkpoint / "weights.safetensors", *sorted((checkpoint / "source").rglob("*"))]
    graphs = sorted(only(run, "compression.json").parent.rglob("*.onnx"))
    return {
        "metrics": {
            name: values for name, values in evidence["metrics"].items() if name in ("trained", "cross_validated")
        },
        "all_metrics": evidence["metrics"],
        "weights": dict(sorted(tensors(path) for path in weights if path.is_file())),
        "history": json.loads((checkpoint / "checkpoint.json").read_text(encoding="utf-8"))["history"],
        "graphs": {path.relative_to(run).as_posix(): canonical(path) for path in graphs},
        "graph_bytes": {path.relative_to(run).as_posix(): digest(path.read_bytes()) for path in graphs},
        "compression": compression,
        "precision": json.loads(only(run, "manifest.json").read_text(encoding="utf-8"))["precision"],
        "seconds": evidence["seconds"],
    }


def only(run: Path, name: str) -> Path:
    """Returns the file of a name that lies highest in a run's folder."""
    return min(run.rglob(name), key=lambda path: (len(path.parts), str(path)))


def tensors(path: Path) -> tuple[str, dict[str, str] | str]:
    """Returns the name of a file and digests of what it holds; of safetensors those of the tensors, by name.

    Skops and Keras write each object's address in memory, which is left out.
    """
    content = path.read_bytes()
    if path.suffix == ".skops":
        with zipfile.ZipFile(path) as packed:
            held = {name: packed.read(name) for name in packed.namelist()}
        schema = re.sub(rb'"(__id__|file)": ("[^"]*"|\d+)', b"", held.pop("schema.json"))
        return path.name, {
            "schema": digest(schema),
            "arrays": digest(repr(sorted(map(digest, held.values()))).encode()),
        }
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as packed:
            return path.name, digest(packed.read("model.weights.h5"))
    if path.suffix != ".safetensors":
        return path.name, digest(content.replace(b'"feed":', b'"model_input":'))  # of rules
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    found = {}
    for name, one in sorted(header.items()):
        start, end = one["data_offsets"]
        found[name] = digest(f"{one['dtype']} {one['shape']} ".encode() + body[start:end])
    return path.name, found


def canonical(path: Path) -> str:
    """Returns a digest of a graph that no name bears on: of each output, what computes it, down to bytes and inputs.

    Nodes that nothing reads are counted too; names of inputs, outputs, values, nodes and symbolic axes are not.
    """
    model = onnx.load(path)
    opsets = sorted((one.domain, one.version) for one in model.opset_import)
    return digest(repr((opsets, of_graph(model.graph, {}))).encode())


def of_graph(graph: onnx.GraphProto, outer: dict[str, str]) -> Any:
    """Returns digests of a graph's outputs and of all its nodes."""
    known = {"": "", **outer}
    axes: dict[str, int] = {}

    def shape(value: onnx.ValueInfoProto) -> str:
        kind = value.type.tensor_type
        dims = [axes.setdefault(d.dim_param, len(axes)) if d.dim_param else f"={d.dim_value}" for d in kind.shape.dim]
        return f"{kind.elem_type} {dims}"

    for one in graph.initializer:
        data = onnx.numpy_helper.to_array(one).tobytes()
        known[one.name] = digest(f"{one.data_type} {list(one.dims)} ".encode() + data)
    for place, value in enumerate(one for one in graph.input if one.name not in known):
        known[value.name] = digest(f"input {place} {shape(value)}".encode())
    nodes = []
    for node in graph.node:
        read = [known[name] for name in node.input]
        attributes = sorted((one.name, attribute(one, known)) for one in node.attribute)
        nodes.append(digest(repr((node.domain, node.op_type, attributes, read, len(node.output))).encode()))
        known |= {name: digest(f"{nodes[-1]} {place}".encode()) for place, name in enumerate(node.output) if name}
    return [known[value.name] for value in graph.output], [shape(value) for value in graph.output], sorted(nodes)


def attribute(one: onnx.AttributeProto, known: dict[str, str]) -> Any:
    """Returns an attribute's value: tensors by their bytes, graphs by their digest."""
    value = onnx.helper.get_attribute_value(one)
    if isinstance(value, onnx.GraphProto):
        return of_graph(value, known)
    if isinstance(value, onnx.TensorProto):
        return value.data_type, list(value.dims), digest(onnx.numpy_helper.to_array(value).tobytes())
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, bytes | str) else value


def digest(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def compare(before: Path, after: Path, checkouts: Sequence[Path]) -> bool:
    """Prints what both folders hold, line by line; returns whether all of it is equal.

    Args:
        before: folder of the first recording.
        after: folder of the second.
        checkouts: that made them; their choices are made again with the latencies of the first. None: not done.
    """
    same, rows = True, []
    for file in sorted(one for one in before.glob("*.json") if (after / one.name).exists()):
        old, new = (json.loads((folder / file.name).read_text("utf-8")) for folder in (before, after))
        if "fault" in old or "fault" in new:
            rows.append([file.stem, old.get("fault", "done")[:60], new.get("fault", "done")[:60]])
            same = False
            continue
        found = {
            "metrics": old["metrics"] == new["metrics"],
            "weights": values(old["weights"]) == values(new["weights"]),
            "fp32 graph": fp32_graphs(old) == fp32_graphs(new),
            "candidates": files_of(old) == files_of(new),
        }
        if checkouts:
            chosen = [chosen_again(checkout, one, old) for checkout, one in zip(checkouts, (old, new), strict=True)]
            found["choice, latencies given"] = chosen[0] == chosen[1]
        same = same and all(found.values())
        verdicts = [f"{name}: {'equal' if is_equal else 'DIFFERENT'}" for name, is_equal in found.items()]
        ran = f"chosen {old['compression']['chosen']} → {new['compression']['chosen']}"
        rows.append([file.stem, metric_of(old), metric_of(new), *verdicts, *([chosen[1]] if checkouts else []), ran])
    for row in rows:
        print(" | ".join(row))
    return same


def values(node: Any) -> list[str]:
    """Returns the digests in a recording, whatever names they go by."""
    return sorted(one for child in node.values() for one in (values(child) if isinstance(child, dict) else [child]))


def fp32_graphs(recording: dict[str, Any]) -> list[str]:
    """Returns the digests of the graphs that no quantisation touched."""
    found = recording["graphs"].items()
    plain = {one["name"] for one in recording["compression"]["candidates"] if not one.get("target")}
    return sorted(value for path, value in found if Path(path).stem in plain)


def files_of(recording: dict[str, Any]) -> dict[str, str]:
    """Returns the digests of all candidates' files, by name."""
    candidates = recording["compression"]["candidates"]
    return {re.sub("^control(?=[0-9])", "scratch", one["name"]): one["sha256"] for one in candidates}


def metric_of(recording: dict[str, Any]) -> str:
    """Returns the values of the trained net on the test rows."""
    found = recording["metrics"].get("trained", {})
    return " ".join(f"{name} {one['value']:.6g}" for name, one in found.items() if name in ("accuracy", "r2")) or "none"


CHOOSING = """
import json, sys
from dataclasses import fields
import msgspec
from maas.compression.budget import Budget
from maas.compression.choosing import choice
try:
    from maas.records.evidence import CandidateRecord
except ImportError:
    from maas.runtime.evidence import CandidateRecord
given = json.load(sys.stdin)
budget = Budget(**{one.name: given["budget"][one.name] for one in fields(Budget)})
records = msgspec.convert(given["candidates"], list[CandidateRecord])
root = records[0]
evaluated = [one if one is root or one.agreement is None else
          msgspec.structs.replace(one, reasons=tuple(budget.reasons(one, root))) for one in records]
print(choice(evaluated, {})[0].name)
"""


def chosen_again(checkout: Path, recording: dict[str, Any], timed: dict[str, Any]) -> str:
    """Returns what a checkout's own code chooses of a recording's candidates, with the latencies of another recording.

    Nets that were trained from scratch as baselines are left out: no clock decides on them.
    """
    compression = recording["compression"]
    latencies = {one["name"]: one["latency"] for one in timed["compression"]["candidates"]}
    aside = {*compression.get("controls", ()), *compression.get("scratch_baselines", ())}
    candidates = [
        {**one, "latency": latencies.get(one["name"])} for one in compression["candidates"] if one["name"] not in aside
    ]
    content = json.dumps({"budget": compression["budget"], "candidates": candidates})
    command = [str(checkout / ".venv/bin/python"), "-c", CHOOSING]
    done = subprocess.run(command, cwd=checkout, input=content, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Reads the command line."""
    verb, *given = sys.argv[1:]
    if verb == "record":
        record(Path(given[0]).resolve(), Path(given[1]), given[2:])
    else:
        before, after, *checkouts = map(Path, given)
        sys.exit(not compare(before, after, [one.resolve() for one in checkouts]))


if __name__ == "__main__":
    main()
