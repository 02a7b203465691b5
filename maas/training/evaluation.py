"""What a trained net answers, by torch itself: the reference for everything that is exported."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from maas.runtime.predictor import outputs_in_batches
from maas.runtime.processors import BaseProcessor


def probabilities(
    net: nn.Module, processor: BaseProcessor, rows: Sequence[Any], batch_size: int = 32
) -> NDArray[np.float32]:
    """Returns the softmax of the net's logits for raw rows.

    Args:
        net: in evaluation mode, on the CPU.
        processor: the one it was trained with.
        rows: N raw inputs.
        batch_size: rows in a batch; rows of equal padded size share one.

    Returns:
        float32 (N, K), in the order of the rows.
    """

    def run(feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        logits = net(**{name: torch.from_numpy(array) for name, array in feeds.items()})
        return {"probabilities": logits.softmax(dim=1).numpy()}

    with torch.inference_mode():
        return outputs_in_batches(processor, rows, batch_size, run)["probabilities"]
