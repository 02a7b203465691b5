"""Nets that the tests export; the process that exports imports them by name."""

import torch
from torch import Tensor, nn


class Convolution(nn.Module):
    """Embedding, one masked convolution, maximum over the tokens."""

    def __init__(self, vocabulary_size: int, outputs: int, width: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.convolution = nn.Conv1d(width, width, 3, padding=1)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        mask = (input_ids != 0).unsqueeze(1).float()  # (N, 1, T)
        hidden = self.convolution(self.embedding(input_ids).transpose(1, 2)).relu() * mask  # (N, C, T)
        return self.head(self.hidden(hidden.amax(2)).relu())


class FrozenBatch(nn.Module):
    """Uses the batch size as a Python number, so that the exporter freezes it."""

    def __init__(self, in_features: int, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(in_features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features) + torch.zeros(int(features.shape[0]), 1) * float(int(features.shape[0]))


class Tied(nn.Module):
    """Two layers that share one weight, as language models do."""

    def __init__(self, in_features: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, in_features)
        self.second = nn.Linear(in_features, in_features)
        self.second.weight = self.first.weight
        self.head = nn.Linear(in_features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.second(self.first(features)))


class Leaning(nn.Module):
    """Adds to the logits once it is exported, and only then, what its buffer holds."""

    def __init__(self, in_features: int, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(in_features, outputs)
        self.register_buffer("lean", torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        logits = self.head(features)
        return logits + self.lean if torch.compiler.is_exporting() else logits


class Stage(nn.Module):
    """Blocks of one width behind a layer that may change it."""

    def __init__(self, in_features: int, width: int, blocks: int) -> None:
        super().__init__()
        self.entry = nn.Linear(in_features, width)
        self.blocks = nn.Sequential(*(nn.Linear(width, width) for _ in range(blocks)))

    def forward(self, features: Tensor) -> Tensor:
        return self.blocks(self.entry(features))


class Staged(nn.Module):
    """A stack of stages, which hold stacks themselves."""

    def __init__(self, in_features: int, outputs: int, widths: list[int], blocks: int = 4) -> None:
        super().__init__()
        pairs = zip([in_features, *widths], widths, strict=False)
        self.stages = nn.Sequential(*(Stage(before, width, blocks) for before, width in pairs))
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.stages(features))
