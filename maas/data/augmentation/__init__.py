"""Random changes to a training batch's feeds. One modality, one file; nothing here is seen in validation or serving."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Augmentation: TypeAlias = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Takes the feeds of a batch by name and returns feeds of the same names, shapes and types."""
