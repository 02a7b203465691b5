"""What a trained net answers, by torch itself: the reference for everything that is exported."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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
    features = processor.encode(rows)
    order = sorted(range(len(features)), key=lambda index: processor.batch_key(features[index]))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            feeds = processor.collate([features[index] for index in order[start : start + batch_size]])
            logits = net(**{name: torch.from_numpy(array) for name, array in feeds.items()})
            parts.append(logits.softmax(dim=1).numpy())
    result: NDArray[np.float32] = np.concatenate(parts)[np.argsort(order)]
    return result
