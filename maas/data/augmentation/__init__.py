"""Random changes to a training batch's inputs. One modality, one file; validation and serving never see them."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Augmentation: TypeAlias = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Takes the inputs of a batch by name and returns inputs of the same names, shapes and types."""
