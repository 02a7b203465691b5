"""A transformer encoder over tokens: what BERT is, at a size that two cores pretrain."""

import math
from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction
from maas.models.text_cnn import PADDING, drop_tokens

INITIAL_DEVIATION = 0.02  # of weights, as in BERT
FAR_BELOW = -1e9  # every real score; unlike −∞ it leaves a row of nothing but padding finite


class TextEncoder(nn.Module):
    """Token embeddings, transformer layers that know how far apart tokens are, pooling, a linear head.

    Padding is masked in attention and in pooling, so a row's logits depend neither on the length of its padding nor on
    the rows beside it. Texts may have any length.

    Args:
        vocabulary_size: V; id 0 is padding, id 1 the unknown token.
        outputs: K.
        width: D, of every token's vector; a multiple of `heads`.
        layers: number of layers of attention and feed-forward net each.
        heads: number of heads of attention.
        feed_forward: hidden width of the feed-forward nets.
        reach: the largest distance between tokens that attention distinguishes from larger ones.
        dropout: fraction of values that training drops after the embeddings, attention and feed-forward nets.
        head_dropout: fraction of pooled features that training drops.
        token_dropout: fraction of tokens that training replaces by the unknown one.
        pooling: `mean` over the real tokens, `max`, or `both` side by side.

    Raises:
        ValueError: `width` is no multiple of `heads`.

    Source:
        Devlin et al., BERT, arXiv:1810.04805. Layer norm stands in front of each block, which needs no long warm-up
        (Xiong et al., arXiv:2002.04745). Positions are biases of attention by distance (Raffel et al.,
        arXiv:1910.10683, §2.1) that begin as slopes (Press et al., arXiv:2108.12409): on a small corpus they learn
        faster than BERT's embeddings of positions. Pooling takes the place of BERT's first token.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        outputs: Count,
        *,
        width: Count = 128,
        layers: Count = 3,
        heads: Count = 4,
        feed_forward: Count = 256,
        reach: Count = 16,
        dropout: Fraction = 0.1,
        head_dropout: Fraction = 0.1,
        token_dropout: Fraction = 0.1,
        pooling: Literal["mean", "max", "both"] = "both",
    ) -> None:
        super().__init__()
        self.reach = reach
        self.token_dropout = token_dropout
        self.pooling = pooling
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=PADDING)
        self.embedding_norm = nn.LayerNorm(width)
        self.embedding_dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward, reach, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head_dropout = nn.Dropout(head_dropout)
        self.head = nn.Linear(2 * width if pooling == "both" else width, outputs)
        self.apply(_initialise_)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Returns logits.

        Args:
            input_ids: int64 (N, T), padded with 0.

        Returns:
            (N, K)
        """
        if self.training:
            input_ids = drop_tokens(input_ids, self.token_dropout)
        pooled = self._pooled(self.hidden(input_ids), input_ids != PADDING)
        logits: Tensor = self.head(self.head_dropout(pooled))
        return logits

    def hidden(self, input_ids: Tensor) -> Tensor:
        """Returns a vector for each token; those of padding mean nothing.

        Args:
            input_ids: int64 (N, T), padded with 0.

        Returns:
            (N, T, D)
        """
        order = torch.arange(input_ids.shape[1], device=input_ids.device)
        distances = (order - order[:, None]).clamp(-self.reach, self.reach) + self.reach  # (T, T), from 0
        is_padding = (input_ids == PADDING)[:, None, None, :]  # (N, 1, 1, T): for every head and query
        hidden: Tensor = self.embedding_dropout(self.embedding_norm(self.embedding(input_ids)))
        for layer in self.layers:
            hidden = layer(hidden, distances, is_padding)
        normalised: Tensor = self.norm(hidden)
        return normalised

    def _pooled(self, hidden: Tensor, is_token: Tensor) -> Tensor:
        mask = is_token.unsqueeze(2).to(hidden.dtype)  # (N, T, 1)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        if self.pooling == "mean":
            return mean
        maximum = hidden.masked_fill(mask == 0, FAR_BELOW).amax(1)
        return maximum if self.pooling == "max" else torch.cat([mean, maximum], dim=1)


class EncoderLayer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        width: D.
        heads: H; D / H values each.
        feed_forward: hidden width.
        reach: R; attention distinguishes 2R + 1 distances.
        dropout: fraction dropped after both blocks.

    Raises:
        ValueError: D is no multiple of H.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, reach: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}; it must be a multiple of heads, {heads}. Set e.g. width={heads * 32}.")
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.nearness = nn.Parameter(slopes(heads, reach))  # (2R + 1, H)
        self.joined = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, feed_forward), nn.GELU(), nn.Linear(feed_forward, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, distances: Tensor, is_padding: Tensor) -> Tensor:
        """Returns the tokens' vectors, each having looked at all real tokens.

        Args:
            hidden: (N, T, D).
            distances: int64 (T, T), from 0 for R and more to the left to 2R for R and more to the right.
            is_padding: bool (N, 1, 1, T).

        Returns:
            (N, T, D)
        """
        hidden = hidden + self.dropout(self._attention(self.attention_norm(hidden), distances, is_padding))
        updated: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return updated

    def _attention(self, hidden: Tensor, distances: Tensor, is_padding: Tensor) -> Tensor:
        joint = self.queries_keys_values(hidden).unflatten(2, (3, self.heads, -1))  # (N, T, 3, H, D / H)
        queries, keys, values = joint.permute(2, 0, 3, 1, 4).unbind(0)  # (N, H, T, D / H) each
        size = queries.shape[3]
        nearness = functional.embedding(distances, self.nearness).permute(2, 0, 1)  # (H, T, T)
        scores = queries @ keys.transpose(2, 3) / math.sqrt(size) + nearness  # (N, H, T, T)
        attended = scores.masked_fill(is_padding, FAR_BELOW).softmax(3) @ values
        joined: Tensor = self.joined(attended.transpose(1, 2).flatten(2))
        return joined

    def head_weights(self) -> Tensor:
        """Returns how much each head can write into the tokens' vectors: ‖values‖ · ‖joined‖, (H,)."""
        values = torch.unflatten(self.queries_keys_values.weight, 0, (3, self.heads, -1))[2]
        written = torch.unflatten(self.joined.weight, 1, (self.heads, -1)).norm(dim=(0, 2))
        weights: Tensor = values.flatten(1).norm(dim=1) * written
        return weights

    def drop_heads(self, heads: Collection[int]) -> None:
        """Takes heads out, for good.

        Args:
            heads: their places; one at least must stay.
        """
        kept = [head for head in range(self.heads) if head not in heads]
        inner = self.joined.in_features * len(kept) // self.heads
        for name in ("weight", "bias"):
            of_heads = getattr(self.queries_keys_values, name).detach().unflatten(0, (3, self.heads, -1))
            setattr(self.queries_keys_values, name, nn.Parameter(of_heads[:, kept].flatten(0, 2)))
        of_heads = torch.unflatten(self.joined.weight.detach(), 1, (self.heads, -1))
        self.joined.weight = nn.Parameter(of_heads[:, kept].flatten(1))
        self.nearness = nn.Parameter(self.nearness.detach()[:, kept])
        self.queries_keys_values.out_features, self.joined.in_features, self.heads = 3 * inner, inner, len(kept)

    def extra_repr(self) -> str:
        """Returns what no weight's shape shows."""
        return f"heads={self.heads}"


def slopes(heads: int, reach: int) -> Tensor:
    """Returns −m·|distance| for each distance from −reach to reach; m is 0 for one head and 1, ½, ¼, … for the others.

    Returns:
        (2 · reach + 1, heads)

    Source:
        Press et al., ALiBi, arXiv:2108.12409, §3; the head without a slope is an addition.
    """
    steepness = torch.tensor([0.0, *(2.0**-index for index in range(heads - 1))])
    distances = torch.arange(-reach, reach + 1).abs().to(torch.float32)
    return -distances[:, None] * steepness


class MaskedTokenHead(nn.Module):
    """Scores every token of the vocabulary for a hidden vector; the scores' weights are the embedding itself.

    Args:
        embedding: (V, D), shared with the encoder.

    Source:
        Devlin et al., BERT, arXiv:1810.04805, §3.1 (and the published code's head).
    """

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        width = embedding.embedding_dim
        self.embedding = embedding
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))
        self.transform.apply(_initialise_)

    def forward(self, hidden: Tensor) -> Tensor:
        """Returns logits.

        Args:
            hidden: (M, D).

        Returns:
            (M, V)
        """
        return functional.linear(self.transform(hidden), self.embedding.weight, self.bias)


def _initialise_(module: nn.Module) -> None:
    """Draws weights from a narrow normal distribution; biases begin at 0, and so does padding."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx] = 0
