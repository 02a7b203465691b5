"""`maas predict` beside a loop by hand over onnxruntime with pandas' reading, in turns, from CSV to Parquet.

    python -m tests.benchmarks.bench_predict [ROWS] [ROUNDS]

Both read the same file, standardise the same eight columns of numbers, find the positions of the same three columns of
categories, run the same graph in batches of the same size, and write the rows with label and score. A further process
takes the whole command, for its largest resident memory.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from maas.command_line import CommandLine
from maas.predicting.command import PredictCommand
from maas.predicting.predicting import predict_file
from maas.runtime.bundle import Bundle
from maas.runtime.graph import session_options
from maas.runtime.processors.tabular import TabularProcessor
from tests.unit.serving.bundles import _bundle

NUMBERS = [f"number_{index}" for index in range(8)]
CATEGORIES = {
    "colour": ["red", "green", "blue"],
    "city": [f"city {index}" for index in range(50)],
    "grade": list("ABCDE"),
}
LABELS = ["low", "middle", "high"]
CHUNK_ROWS, HIDDEN = 65_536, 64


def frame_of(rows: int) -> pd.DataFrame:
    """Returns rows of numbers and categories, a few of them missing."""
    random = np.random.default_rng(0)
    columns = {name: random.normal(10, 3, rows).round(4) for name in NUMBERS}
    columns[NUMBERS[0]][random.random(rows) < 0.01] = np.nan
    texts = {
        name: np.array(known, dtype=object)[random.integers(0, len(known), rows)] for name, known in CATEGORIES.items()
    }
    return pd.DataFrame({"id": np.arange(rows), **columns, **texts})


def bundle_of(folder: Path, batch_size: int) -> Bundle:
    """Returns a classifier of two hidden layers of random weights."""
    random = np.random.default_rng(1)
    fitted = [
        {name: float(random.normal(10, 3)) for name in NUMBERS}
        | {name: known[at % len(known)] for name, known in CATEGORIES.items()}
        for at in range(500)
    ]
    sizes = [len(NUMBERS) + len(CATEGORIES), HIDDEN, HIDDEN, len(LABELS)]
    weights = {"zero": np.array(0, np.float32)}
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "numbers"], ["filled"]),
        helper.make_node("Cast", ["categories"], ["positions"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["filled", "positions"], ["layer0"], axis=1),
    ]
    for at, (before, after) in enumerate(pairwise(sizes)):
        weights[f"weight{at}"] = random.normal(0, before**-0.5, (before, after)).astype(np.float32)
        weights[f"bias{at}"] = np.zeros(after, np.float32)
        nodes.append(helper.make_node("Gemm", [f"layer{at}", f"weight{at}", f"bias{at}"], [f"sum{at}"]))
        kind = "Relu" if after != len(LABELS) else "Softmax"
        nodes.append(helper.make_node(kind, [f"sum{at}"], [f"layer{at + 1}" if kind == "Relu" else "probabilities"]))
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", len(NUMBERS)]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", len(CATEGORIES)]),
    ]
    return Bundle.open(
        _bundle(
            folder,
            name="grades",
            task="tabular-classification",
            nodes=nodes,
            weights=weights,
            graph_input=inputs,
            processor=TabularProcessor(NUMBERS, list(CATEGORIES), standardize=True).fit(fitted),
            labels=LABELS,
            golden=fitted[:6],
            batch_size=batch_size,
        )
    )


def by_hand(bundle: Bundle, source: Path, out: Path) -> None:
    """Reads with pandas, a chunk at a time, runs the graph and writes Parquet."""
    processor = bundle.predictor.processor
    means, deviations = (np.array(one) for one in processor._learnt[:2])
    positions = {
        name: {text: at for at, text in enumerate(known, 1)} for name, known in processor.learnt_categories.items()
    }
    options = session_options()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(bundle.model_path, options, providers=["CPUExecutionProvider"])
    writer = None
    for frame in pd.read_csv(source, chunksize=CHUNK_ROWS):
        numbers = ((frame[NUMBERS].to_numpy(np.float64) - means) / deviations).astype(np.float32)
        categories = np.stack(
            [frame[name].map(positions[name]).fillna(0).to_numpy(np.int64) for name in positions], axis=1
        )
        outputs = [
            session.run(None, {"numbers": numbers[at : at + size], "categories": categories[at : at + size]})[0]
            for size in [bundle.predictor.batch_size]
            for at in range(0, len(frame), size)
        ]
        probabilities = np.concatenate(outputs)
        frame["predicted_label"] = np.array(LABELS, dtype=object)[probabilities.argmax(axis=1)]
        frame["predicted_score"] = probabilities.max(axis=1).astype(np.float64)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    writer.close()


def by_maas(bundle: Bundle, source: Path, out: Path) -> None:
    """Predicts the file."""
    command = PredictCommand.of(CommandLine.parse("predict", [str(bundle.folder), str(source), str(out)]))
    predict_file(bundle, command, lambda *_: None)


def seconds(work: Callable[[Bundle, Path, Path], None], bundle: Bundle, source: Path, out: Path) -> float:
    """Returns how long a way takes; what it wrote before goes first."""
    out.unlink(missing_ok=True)
    begun = time.perf_counter()
    work(bundle, source, out)
    return time.perf_counter() - begun


def largest_bytes(bundle: Bundle, source: Path, out: Path) -> int:
    """Returns the largest resident memory of a process that is `maas predict`.

    `ru_maxrss` would count the memory of this process, which the other one is forked from.
    """
    code = (
        "import sys; from maas.predict import main; main(sys.argv[1:])\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')), file=sys.stderr)"
    )
    out.unlink(missing_ok=True)
    words = map(str, (bundle.folder, source, out))
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return int(done.stderr.split()[-1]) * 1024


def measured(folder: Path, rows: int, rounds: int) -> Iterator[str]:
    """Yields a line for each batch size, and one for the memory."""
    source = folder / "rows.csv"
    frame_of(rows).to_csv(source, index=False)
    for batch_size in (32, 1024):
        bundle = bundle_of(folder / f"model_{batch_size}", batch_size)
        bundle.check_golden()
        times: dict[str, list[float]] = {"hand": [], "maas": []}
        for _ in range(rounds):
            times["hand"].append(seconds(by_hand, bundle, source, folder / "hand.parquet"))
            times["maas"].append(seconds(by_maas, bundle, source, folder / "maas.parquet"))
        names = ["predicted_label", "predicted_score"]
        hand, own = (pq.read_table(folder / f"{name}.parquet", columns=names).to_pylist() for name in times)
        assert hand == own
        ratio = median(hand / own for hand, own in zip(times["hand"], times["maas"], strict=True))
        hand, own = (rows / median(one) for one in times.values())
        yield f"batches of {batch_size}: by hand {hand:,.0f} rows/s, maas {own:,.0f} rows/s, {ratio:.2f} ×"
    memory = largest_bytes(bundle, source, folder / "maas.parquet") / 2**20
    yield f"maas predict, largest resident memory: {memory:.0f} MiB"


def main(rows: int = 1_000_000, rounds: int = 5) -> None:
    """Prints what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        for line in measured(Path(folder), rows, rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
