"""A evaluator over the digits, where passes are evaluated."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def evaluator(line, digits) -> Any:
    from maas.compression.evaluator import Evaluator
    from maas.compression.passes import Calibration
    from maas.evidence.task_metrics import task_metrics_of

    predictor = line.bundle.make_predictor(batch_size=16)

    def model_inputs(count: int):
        for start in range(0, count, 16):
            rows = digits.train.inputs[start : min(start + 16, count)]
            yield predictor.processor.batch(predictor.preprocess(rows))

    return Evaluator(
        predictor,
        digits.validation,
        task_metrics_of("classification", digits.labels),
        "accuracy",
        Calibration(model_inputs, 0),
        digits.labels,
    )
