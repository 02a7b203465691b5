"""What ONNX Runtime raises, and why it does not open a file that is simply newer than it is. It opens none itself."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from maas.errors import BundleError, one_line
from maas.runtime.codec import ModelInputs, Outputs

ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(one for one in vars(native).values() if isinstance(one, type) and issubclass(one, Exception)),
)
"""What opening and running a graph raises: ONNX Runtime's errors, which have no base, and Python's own."""

LOADING_ERRORS: tuple[type[Exception], ...] = (OSError, *ORT_ERRORS)
FORMAT = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
OPERATORS = re.compile(r"Opset (\d+) is under development.*domain ([\w.]+) is till opset (\d+)", re.DOTALL)


class Graph:
    """An ONNX Runtime session.

    Args:
        model: the ONNX file.
        threads: ONNX Runtime's intra-op threads; they never spin.
        providers: execution providers, the preferred one first.

    Raises:
        BundleError: ONNX Runtime cannot load the file.
    """

    def __init__(self, model: Path, threads: int = 1, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        self.session = _session(model, threads, providers)
        self._output_names = [output.name for output in self.session.get_outputs()]
        inner = getattr(self.session, "_sess", self.session)  # its wrapper takes as long as a small model runs
        self._run_graph: Callable[..., list[NDArray[np.generic]]] = inner.run

    def run(self, model_inputs: ModelInputs) -> Outputs:
        """Returns the outputs of a batch, (N, …) each."""
        return dict(zip(self._output_names, self._run_graph(self._output_names, model_inputs, None), strict=True))


def session_options() -> ort.SessionOptions:
    """Returns options with which int8 is computed alike on every x86 processor, and only errors are logged.

    Without them, a processor that lacks VNNI adds pairs of products of uint8 and int8 in 16 bits, which overflow.
    Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, U8S8 and U8U8.
    """
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    return options


def _session(model: Path, threads: int, providers: Sequence[str]) -> ort.InferenceSession:
    options = session_options()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:  # by its bytes: a file may name no data beside it
        session = ort.InferenceSession(model.read_bytes(), options, providers=list(providers))
    except LOADING_ERRORS as error:
        newer = too_new(error)
        reason = f"{model} {newer}" if newer else f"ONNX Runtime cannot load {model}: {one_line(error)}."
        raise BundleError(reason) from error
    session._model_bytes = None  # noqa: SLF001  a second copy of the weights, kept for a change of providers
    return session


def too_new(error: Exception) -> str | None:
    """Returns in words what a file has that ONNX Runtime is too old for; None where something else is the matter.

    Args:
        error: that ONNX Runtime raised when it opened the file.

    Example:
        >>> too_new(ValueError("Unsupported model IR version: 14, max supported IR version: 13")).split(",")[0]
        'is of IR version 14'
    """
    text, advice = str(error), "or install a newer onnxruntime"
    if found := FORMAT.search(text):
        own, most = found.groups()
        return (
            f"is of IR version {own}, newer than ONNX Runtime {ort.__version__} reads: it reads up to {most}. Save it "
            f"with ir_version {most} or lower, {advice}."
        )
    if found := OPERATORS.search(text):
        own, domain, most = found.groups()
        whose = "" if domain == "ai.onnx" else f"{domain} "
        return (
            f"is of {whose}opset {own}, newer than ONNX Runtime {ort.__version__} reads: it reads up to {most}. Export "
            f"it with opset {most} or lower, {advice}."
        )
    return None
