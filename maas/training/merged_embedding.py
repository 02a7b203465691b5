"""An embedding in which many tokens share one vector."""

import torch
from torch import Tensor, nn


class MergedEmbedding(nn.Embedding):
    """Looks a token's row up, and then the row's vector; the graph holds the same two lookups.

    Args:
        rows: int32 (V,), the row of each of the V tokens, from 0 to V' − 1.
        width: D, of the vectors.
        padding_idx: the row of padding, which is not trained; None for none.
    """

    rows: Tensor

    def __init__(self, rows: Tensor, width: int, padding_idx: int | None = None) -> None:
        super().__init__(int(rows.max()) + 1, width, padding_idx)
        self.register_buffer("rows", rows)

    @classmethod
    def of(cls, embedding: nn.Embedding, rows: Tensor) -> "MergedEmbedding":
        """Merges the tokens of an embedding that share a row: its vector is the mean of theirs.

        Args:
            embedding: of V tokens.
            rows: int32 (V,).
        """
        before, padding = token_rows_of(embedding), embedding.padding_idx
        of_padding = None if padding is None else int(rows[before == padding][0])
        made = cls(rows, embedding.embedding_dim, of_padding)
        sums = torch.zeros_like(made.weight).index_add_(0, rows, embedding.weight.detach()[before])
        made.weight.data = sums / torch.bincount(rows)[:, None]
        return made

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Embedding's name
        """Returns float (…, D) for int64 (…)."""
        return super().forward(torch.take(self.rows, input))


def token_rows_of(embedding: nn.Embedding) -> Tensor:
    """Returns the row of each token that an embedding knows, int32 (V,)."""
    if isinstance(embedding, MergedEmbedding):
        return embedding.rows
    return torch.arange(embedding.num_embeddings, dtype=torch.int32)
