"""How a model's metric falls as its inputs get worse. What can happen to inputs: one kind or modality, one file.

A file has `perturbations(processor)`: what is done to raw rows that this processor reads. `array` is a kind of its own,
`text` serves every processor of that modality.
"""

from maas.evidence.robustness.base import Perturbation, perturbations_of
from maas.evidence.robustness.measuring import curves

__all__ = ["Perturbation", "curves", "perturbations_of"]
