"""Which parts of a raw row speak for the model's prediction, and which against it.

Parts are left out and the model runs again: the runtime alone is needed, and any model can be explained. What a
part is, and how a row looks without it, is said by `parts/`, a file for each kind of processor; which number is
explained, by `quantities/`, a file for each kind of prediction. An explanation is about the model, not about the world.
"""

from maas.explaining.explainer import explain
from maas.explaining.explanation import Explanation

__all__ = ["Explanation", "explain"]
