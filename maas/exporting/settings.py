"""The `export` section of a recipe: how a model is exported and proven."""

from dataclasses import dataclass

from maas.bounds import ClosedFraction, NonNegativeCount, Opset, Positive


@dataclass(frozen=True)
class ExportSettings:
    """The `export` section of a recipe.

    Args:
        opset: ONNX operator set of the file.
        tolerance: largest difference of a plain number between the model's own framework, ONNX Runtime and onnx's
            reference evaluator, before compression: absolute for probabilities and vectors; for values, as a fraction
            of the training targets' deviation, or of the largest value where the graph itself gives the target's unit.
        min_agreement: fraction of test rows whose prediction the compressed model must keep.
        robustness_rows: number of test rows on which the metric is measured under noise; 0 for none.
    """

    opset: Opset = 20
    tolerance: Positive = 1e-5
    min_agreement: ClosedFraction = 0.99
    robustness_rows: NonNegativeCount = 200
