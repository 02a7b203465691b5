"""A GPT: a transformer decoder over tokens that gives, at every position, the logits of the token that comes next."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction, Positive
from maas.models.encoder import INITIAL_DEVIATION


class GPT(nn.Module):
    """Token embeddings, L blocks, a root-mean-square norm, and logits of the whole vocabulary.

    Attention looks back only, and never out of its document; positions restart with each document. A row's logits
    depend neither on what comes later nor on other rows. Rows may have any length.

    Args:
        vocabulary_size: V.
        width: D, of every token's vector; a multiple of `heads`.
        layers: L, number of blocks.
        heads: H, number of heads of attention that queries have; D / H must be even.
        kv_heads: G, number of heads that keys and values have, each for H / G heads of queries; None for H.
        feed_forward: hidden width of the feed-forward nets.
        rotary_theta: θ; pair i of a head turns by position · θ^(−2i / (D / H)).
        norm_epsilon: what the norms add to the mean square.
        is_tied: whether the weights of the logits are the embedding itself.
        dropout: fraction of values that training drops after the embedding, attention and feed-forward nets.

    Raises:
        ValueError: the widths and heads do not divide each other.

    Source:
        Touvron et al., Llama, arXiv:2302.13971, §2.2; grouped keys and values: Ainslie et al., arXiv:2305.13245; pairs
        of rotary positions are values i and i + D / 2H of a head, as in transformers' Llama; scaled initial weights of
        what is added to the vectors: Radford et al., GPT-2, §2.3.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        *,
        width: Count = 256,
        layers: Count = 6,
        heads: Count = 4,
        kv_heads: Count | None = None,
        feed_forward: Count = 704,
        rotary_theta: Positive = 10000.0,
        norm_epsilon: Positive = 1e-5,
        is_tied: bool = True,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        groups = heads if kv_heads is None else kv_heads
        require_divisible(width, heads, groups)
        self.head_size = width // heads
        self.rotary_theta = rotary_theta
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.embedding_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, groups, feed_forward, norm_epsilon, dropout) for _ in range(layers)
        )
        self.norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.unembedding = None if is_tied else nn.Linear(width, vocabulary_size, bias=False)
        initialise_blocks_(self, added=2 * layers)

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Returns the logits of the token after each one.

        Args:
            tokens: int64 (N, T).
            documents: int64 (N, T), the number of each token's document; tokens of one document stand together. None
                takes each row as one document.

        Returns:
            (N, T, V)
        """
        hidden = self.hidden(tokens, documents)
        weight = self.embedding.weight if self.unembedding is None else self.unembedding.weight
        return functional.linear(hidden, weight)

    def hidden(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Returns the normalised vector of each token; arguments as in `forward`.

        Returns:
            (N, T, D)
        """
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None]  # (1, T)
        is_seen = None
        if documents is not None:
            is_seen = (documents[:, :, None] == documents[:, None, :]).tril()[:, None]  # (N, 1, T, T)
            positions = positions_within(documents)
        turns = turns_of(positions, self.head_size, self.rotary_theta)
        hidden: Tensor = self.embedding_dropout(self.embedding(tokens))
        for block in self.blocks:
            hidden = block(hidden, turns, is_seen)
        normalised: Tensor = self.norm(hidden)
        return normalised


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); no layer has biases.

    Args:
        width: D.
        heads: H, of queries.
        kv_heads: G, of keys and values.
        feed_forward: hidden width.
        norm_epsilon: of both norms.
        dropout: fraction dropped after both.
    """

    def __init__(
        self, width: int, heads: int, kv_heads: int, feed_forward: int, norm_epsilon: float, dropout: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.attention = RotaryAttention(width, heads, kv_heads)
        self.feed_forward_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.feed_forward = GatedFeedForward(width, feed_forward)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, turns: tuple[Tensor, Tensor], is_seen: Tensor | None) -> Tensor:
        """Returns the tokens' vectors (N, T, D); arguments as in `RotaryAttention.forward`."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), turns, is_seen))
        updated: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return updated


class RotaryAttention(nn.Module):
    """Causal attention with rotary positions; H / G heads of queries share one of keys and values.

    Args:
        width: D.
        heads: H.
        kv_heads: G.
    """

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, size = heads, kv_heads, width // heads
        self.queries = nn.Linear(width, width, bias=False)
        self.keys = nn.Linear(width, kv_heads * size, bias=False)
        self.values = nn.Linear(width, kv_heads * size, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, turns: tuple[Tensor, Tensor], is_seen: Tensor | None) -> Tensor:
        """Returns what each token takes from itself and the tokens before it.

        Args:
            hidden: (N, T, D).
            turns: as `turns_of` gives them.
            is_seen: bool (N, 1, T, T), which tokens each one looks at; None for itself and all before it.

        Returns:
            (N, T, D)
        """
        queries = turned(self.queries(hidden).unflatten(2, (self.heads, -1)).transpose(1, 2), turns)  # (N, H, T, D / H)
        keys = turned(self.keys(hidden).unflatten(2, (self.kv_heads, -1)).transpose(1, 2), turns)
        values = self.values(hidden).unflatten(2, (self.kv_heads, -1)).transpose(1, 2)  # (N, G, T, D / H)
        attended = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=is_seen,
            is_causal=is_seen is None,
            enable_gqa=self.kv_heads != self.heads,
        )
        output: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return output

    def extra_repr(self) -> str:
        """Returns what no weight's shape shows."""
        return f"heads={self.heads}, kv_heads={self.kv_heads}"


class GatedFeedForward(nn.Module):
    """down(silu(gate(x)) · up(x)).

    Args:
        width: D.
        feed_forward: hidden width.

    Source:
        Shazeer, GLU variants improve transformer, arXiv:2002.05202, eq. 6 (SwiGLU).
    """

    def __init__(self, width: int, feed_forward: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, feed_forward, bias=False)
        self.up = nn.Linear(width, feed_forward, bias=False)
        self.down = nn.Linear(feed_forward, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Returns (…, D) for (…, D)."""
        made: Tensor = self.down(functional.silu(self.gate(hidden)) * self.up(hidden))
        return made


def initialise_blocks_(net: nn.Module, added: int) -> None:
    """Draws weights from a narrow normal distribution, narrower where many of them are added up, in place.

    Args:
        net: of blocks as they are here.
        added: how many outputs of attention and feed-forward nets are added to a token's vector.
    """
    for name, weight in net.named_parameters():
        if weight.ndim > 1:
            is_added = name.endswith(("output.weight", "down.weight"))
            nn.init.normal_(weight, std=INITIAL_DEVIATION / (math.sqrt(added) if is_added else 1.0))


def positions_within(documents: Tensor) -> Tensor:
    """Returns each token's place in its document, from 0; of a document that a row continues, its place in the row.

    Args:
        documents: int64 (N, T), the number of each token's document.

    Returns:
        int64 (N, T)

    Example:
        >>> positions_within(torch.tensor([[3, 3, 4, 4, 4, 5]])).tolist()
        [[0, 1, 0, 1, 2, 0]]
    """
    order = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    is_first = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return order - order.where(is_first, 0).cummax(1).values


def turns_of(positions: Tensor, head_size: int, rotary_theta: float) -> tuple[Tensor, Tensor]:
    """Returns cosine and sine of the angles by which the values of a head turn at each position.

    Args:
        positions: int64 (N, T), or (1, T) for all rows.
        head_size: D / H.
        rotary_theta: θ.

    Returns:
        float32 (N, 1, T, D / H) both; the second half of the last axis repeats the first.

    Source:
        Su et al., RoFormer, arXiv:2104.09864, §3.2.2.
    """
    places = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None, :, None].float() * rotary_theta ** (-places / head_size)
    angles = torch.cat([angles, angles], dim=3)
    return angles.cos(), angles.sin()


def turned(values: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Returns the values of heads, turned by their positions.

    Args:
        values: (N, H, T, D / H); values i and i + D / 2H are a pair.
        turns: as `turns_of` gives them.

    Returns:
        (N, H, T, D / H), of the same type.
    """
    cosine, sine = (one.to(values.dtype) for one in turns)
    first, second = values.chunk(2, dim=3)
    return values * cosine + torch.cat([-second, first], dim=3) * sine


def require_divisible(width: int, heads: int, kv_heads: int) -> None:
    """Requires widths and heads of attention that divide each other.

    Raises:
        ValueError: they do not.
    """
    if width % heads or width // heads % 2:
        raise ValueError(
            f"width is {width} and heads is {heads}; width / heads must be an even whole number. Set e.g. "
            f"width={heads * 64}."
        )
    if heads % kv_heads:
        raise ValueError(f"heads is {heads}; it must be a multiple of kv_heads, {kv_heads}. Set e.g. kv_heads={heads}.")
