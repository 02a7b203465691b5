"""A checkpoint as one ONNX file, the same bytes on every run, by whichever exporter knows its model.

Exporters leak state between exports of one process, so each export has a process of its own, as
`python -m maas.exporting.conversion CHECKPOINT EXAMPLES.npz OUT.onnx OPSET REFUSAL.txt` is one. Why one fails it writes
to a file, since other libraries print what they like.
"""

import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import ExportError, MaasError, innermost_cause
from maas.exporting import hugging_face, torch_onnx
from maas.exporting.fork_server import ForkServer
from maas.importing.base import ImportedModel
from maas.training.checkpoint import Checkpoint

EXPORTERS = ForkServer(
    "maas.exporting.conversion",
    preloaded=("onnxscript", "onnxscript.function_libs.torch_lib.ops", "torch.onnx._internal.exporter._core"),
)

log = logging.getLogger("maas")


def to_onnx(checkpoint: Checkpoint, examples: Mapping[str, NDArray[Any]], out: Path, opset: int) -> Path:
    """Exports a checkpoint in a new process.

    Args:
        checkpoint: what to export.
        examples: the graph's inputs for a batch of 2 or more real rows.
        out: file to write.
        opset: ONNX operator set.

    Returns:
        `out`.

    Raises:
        ExportError: the exporter failed; why is in the message, in one line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arrays, refusal = Path(scratch) / "examples.npz", Path(scratch) / "refusal.txt"
        np.savez(arrays, allow_pickle=False, **dict(examples))
        paths = [str(path) for path in (checkpoint.folder, arrays, out)]
        status, printed = EXPORTERS.run([*paths, str(opset), str(refusal)])
        written = refusal.read_text(encoding="utf-8") if refusal.exists() else ""
    if status != 0:
        log.debug("The exporter printed: %s", printed)
        reason = written or f"its process ended with status {status}."
        raise ExportError(f"{checkpoint.record.net.target} cannot be exported: {reason}")
    return out


def write_checkpoint_onnx(checkpoint: Checkpoint, examples: Mapping[str, NDArray[Any]], out: Path, opset: int) -> None:
    """Exports a checkpoint in this process; use `to_onnx`.

    Raises:
        ExportError: an axis that must be dynamic was frozen, or the file would be too large.
    """
    model, task_head, output = checkpoint.model(), checkpoint.task_head(), checkpoint.postprocessor().output
    axes = checkpoint.processor().dynamic_axes
    if isinstance(model, ImportedModel):
        model.write_onnx(out, examples=examples, axes=axes, output=output, opset=opset)
    elif hasattr(model, "hugging_face"):
        hugging_face.write_hugging_face_onnx(
            model, task_head, examples=examples, axes=axes, output=output, out=out, opset=opset
        )
    else:
        torch_onnx.write_torch_onnx(model, task_head, examples=examples, axes=axes, output=output, out=out, opset=opset)


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports in this process.

    Args:
        arguments: folder of the checkpoint, file of example inputs, file of the graph, opset, file of a refusal;
            None reads the command line.
    """
    folder, arrays, out, opset, refusal = sys.argv[1:] if arguments is None else arguments
    try:
        with np.load(arrays, allow_pickle=False) as examples:
            write_checkpoint_onnx(Checkpoint.open(folder), dict(examples), Path(out), int(opset))
    except Exception as error:  # torch.onnx, optimum and the user's net have no common base; the parent gets one line
        Path(refusal).write_text(
            str(error) if isinstance(error, MaasError) else innermost_cause(error), encoding="utf-8"
        )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
