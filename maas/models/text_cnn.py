"""Placeholder, replaced by the chosen net."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TextCNN(nn.Module):
    def __init__(
        self,
        vocabulary_size: int,
        outputs: int,
        width: int = 64,
        channels: int = 64,
        kernels: Sequence[int] = (1, 3),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, k, padding=k // 2) for k in kernels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels * len(kernels), outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        mask = (input_ids != 0).unsqueeze(1).float()
        x = self.dropout(self.embedding(input_ids)).transpose(1, 2)
        pooled = [(c(x).relu() * mask).amax(2) for c in self.convolutions]
        return self.head(self.dropout(torch.cat(pooled, 1)))
