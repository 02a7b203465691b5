"""What a model takes when it is served: time to open it, and memory, in a process that does nothing else.

`python -m maas.evidence.footprint MODEL.onnx INPUTS.npz THREADS` prints both as JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from maas.evidence.machine import peak_bytes
from maas.runtime.graph import session_options


@dataclass(frozen=True)
class Footprint:
    """Milliseconds until the session is there, and the most bytes that the process held."""

    load_ms: float
    peak_bytes: int


def footprint_of(model: Path, model_inputs: Mapping[str, NDArray[Any]], threads: int) -> Footprint:
    """Opens a model in a process of its own and predicts one batch.

    Args:
        model: the ONNX file.
        model_inputs: its inputs for a batch.
        threads: intra-op threads.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arrays = Path(scratch) / "inputs.npz"
        plain = {name: one.astype(np.str_) if one.dtype == object else one for name, one in model_inputs.items()}
        np.savez(arrays, allow_pickle=False, **plain)
        command = [sys.executable, "-m", __name__, str(model), str(arrays), str(threads)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return Footprint(**json.loads(done.stdout))


def main() -> None:
    """Measures this process."""
    model, arrays, threads = sys.argv[1:]
    options = session_options()
    options.intra_op_num_threads = int(threads)
    with np.load(arrays, allow_pickle=False) as loaded:
        model_inputs = {name: one.astype(object) if one.dtype.kind == "U" else one for name, one in loaded.items()}
    started = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load_ms = (time.perf_counter() - started) * 1e3
    session.run(None, model_inputs)
    sys.stdout.write(json.dumps({"load_ms": load_ms, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
