"""What ONNX Runtime raises, and why it does not open a file that is simply newer than it is. It opens none itself."""

import re

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(one for one in vars(native).values() if isinstance(one, type) and issubclass(one, Exception)),
)
"""What opening and running a graph raises: ONNX Runtime's errors, which have no base, and Python's own."""

FORMAT = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
OPERATORS = re.compile(r"Opset (\d+) is under development.*domain ([\w.]+) is till opset (\d+)", re.DOTALL)


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
