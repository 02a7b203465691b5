"""An evaluator over the digits, and training rows for ONNX passes."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def evaluator(line, digits) -> Any:
    from maas.compression.evaluator import Evaluator
    from maas.evidence.task_metrics import task_metrics_of

    predictor = line.bundle.make_predictor(batch_size=16)
    task_metrics = task_metrics_of("classification", digits.labels)
    model = line.bundle.model_path
    return Evaluator(model, predictor, digits.validation, task_metrics, "accuracy", 0, digits.labels)


@pytest.fixture(scope="session")
def calibration(digits, evaluator) -> Any:
    from maas.compression.passes import Calibration

    return Calibration.of(evaluator.parent, digits.train, seed=0)
