"""Pictures are written, and the same numbers give the same bytes."""

import numpy as np
import pytest

from maas.evidence.model_plots import compression_picture
from maas.evidence.plots import (
    SweptKey,
    confusion_picture,
    learning_curve,
    robustness_picture,
    sweep_picture,
)
from maas.records.evidence import CandidateRecord, CompressionRecord, Interval, Latency, RobustnessCurve

HISTORY = [{"train_loss": 1.0, "validation_loss": 1.1, "validation_accuracy": 0.5}, {"train_loss": 0.5}]
RECORD = CompressionRecord(
    "accuracy",
    {},
    (
        CandidateRecord("fp32", "", "0", 1000, 0.0, latency=Latency(8, 1, 1.0, 0.1, 1.0, 0.9, 1.1)),
        CandidateRecord("int8", "0", "1", 400, 0.5, latency=Latency(8, 1, 0.7, 0.1, 0.7, 0.6, 0.8)),
        CandidateRecord("failed", "0", "", 0, 0.1, reasons=("it cannot be done",)),
    ),
    "int8",
    "smaller",
    10,
)
CURVES = tuple(
    RobustnessCurve(name, "share", "accuracy", 50, strengths, tuple(Interval(v, v - 0.1, v + 0.05) for v in (0.9, 0.5)))
    for name, strengths in (("typos", (0.0, 0.1)), ("loudness", (-10.0, 0.0)))
)
SWEPT = [
    SweptKey("lr", ("0.1", "0.001", "0.01"), is_number=True, is_log=True),
    SweptKey("hidden", ("[64]", "[256]", "[64]"), is_number=False, is_log=False),
]
PICTURES = {
    "curve": lambda path: learning_curve(HISTORY, 1, "accuracy", path),
    "confusion": lambda path: confusion_picture(np.array([[5, 1], [0, 0]]), ["a", "b"], "two classes", path),
    "compression": lambda path: compression_picture(RECORD, path),
    "robustness": lambda path: robustness_picture(CURVES, path),
    "sweep": lambda path: sweep_picture([0.5, None, 0.7], SWEPT, "accuracy", "three trials", path),
    "one trial": lambda path: sweep_picture([0.5], [], "accuracy", "nothing swept", path),
    "one curve": lambda path: robustness_picture(CURVES[:1], path),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_has_the_same_bytes_when_it_is_drawn_twice(name, tmp_path):
    first, second = (PICTURES[name](tmp_path / f"{index}.png").read_bytes() for index in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
