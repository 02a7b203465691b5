"""How a recipe wants its model exported and proven."""

from dataclasses import dataclass

from maas.bounds import Opset, Positive, Share


@dataclass(frozen=True)
class ExportSettings:
    """The `export` section of a recipe.

    Args:
        opset: of the ONNX file.
        tolerance: the largest absolute difference of a probability between torch, ONNX Runtime and onnx's reference
            evaluator, for the model before compression.
        min_label_agreement: the share of test rows whose label the compressed model must keep.
    """

    opset: Opset = 20
    tolerance: Positive = 1e-5
    min_label_agreement: Share = 0.99
