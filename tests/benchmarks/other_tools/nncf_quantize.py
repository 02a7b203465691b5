"""NNCF's post-training quantisation of an ONNX model, in the ways that its documentation recommends.

    python nncf_quantize.py GIVEN OUT

Rows come one by one, as its guide demands for transformers; `model_type` tells it of them. Each way is taken on its
own; those that the time does not suffice for are not begun.
"""

import sys
import time
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
from given import Given, Made, described, give_back, try_out

WAYS: dict[str, dict[str, Any]] = {
    "mixed preset": {"preset": nncf.QuantizationPreset.MIXED, "fast_bias_correction": True},
    "performance preset": {"preset": nncf.QuantizationPreset.PERFORMANCE, "fast_bias_correction": True},
    "accurate bias correction": {"preset": nncf.QuantizationPreset.MIXED, "fast_bias_correction": False},
}


def main(given: Given, out: Path) -> None:
    """Takes all ways."""
    started, terms = time.perf_counter(), given.terms
    rows = nncf.Dataset(given.calibration)
    shared: dict[str, Any] = {"subset_size": len(given.calibration), "target_device": nncf.TargetDevice.CPU}
    if given.is_transformer:
        shared["model_type"] = nncf.ModelType.TRANSFORMER

    def quantized(settings: dict[str, Any]) -> onnx.ModelProto:
        return nncf.quantize(onnx.load(given.model), rows, **settings)

    def controlled(settings: dict[str, Any]) -> onnx.ModelProto:
        def validated(model: onnx.ModelProto, batches: Any) -> tuple[float, list[float]]:
            hits = given.hits(model, batches)
            return float(np.concatenate(hits).mean()), [float(one.mean()) for one in hits]

        model, validation = onnx.load(given.model), nncf.Dataset(given.validation)
        return nncf.quantize_with_accuracy_control(model, rows, validation, validated, **settings)

    control = {**WAYS["mixed preset"], "max_drop": terms.max_drop / 100}
    ways = {name: (quantized, settings) for name, settings in WAYS.items()} | {
        "accuracy control": (controlled, control)
    }
    for name, (make, own) in ways.items():
        settings = {**own, **shared}
        if time.perf_counter() - started > terms.seconds:
            give_back(out, Made(name, described(settings), 0.0, fault="the time was over"))
            continue
        try_out(out, name, settings, lambda make=make, settings=settings: make(settings))


if __name__ == "__main__":
    main(Given(Path(sys.argv[1])), Path(sys.argv[2]))
