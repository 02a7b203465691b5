"""A sequence-to-sequence transformer: an encoder reads one text, a decoder writes another, token by token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Count, Fraction, Positive
from maas.models.gpt import Block, GatedFeedForward, RotaryAttention, initialise_blocks_, require_divisible, turns_of

TEXT_END = 0
"""Id of the token that begins a text, ends it, and pads."""


class Seq2Seq(nn.Module):
    """Token embeddings that both sides and the logits share, blocks of an encoder, blocks of a decoder.

    The encoder looks at all tokens of its text, the decoder at what it has written and at the encoder's vectors.
    Padding is never looked at, so that a row's logits depend neither on the length of its padding nor on the rows
    beside it. Texts may have any length.

    Args:
        vocabulary_size: V; token 0 begins and ends a text, and pads it.
        width: D, of every token's vector; a multiple of `heads`.
        encoder_layers: number of the encoder's blocks.
        decoder_layers: number of the decoder's blocks.
        heads: H, number of heads of attention; D / H must be even.
        feed_forward: hidden width of the feed-forward nets.
        rotary_theta: θ; pair i of a head turns by position · θ^(−2i / (D / H)), within each side alone.
        norm_epsilon: what the norms add to the mean square.
        dropout: fraction of values that training drops after the embedding, attention and feed-forward nets.

    Raises:
        ValueError: width and heads do not divide each other.

    Source:
        Vaswani et al., Attention is all you need, arXiv:1706.03762, §3.1; norms in front and no biases, as in
        `maas.models.gpt.GPT`.
    """

    def __init__(
        self,
        vocabulary_size: Count,
        *,
        width: Count = 128,
        encoder_layers: Count = 2,
        decoder_layers: Count = 2,
        heads: Count = 4,
        feed_forward: Count = 352,
        rotary_theta: Positive = 10000.0,
        norm_epsilon: Positive = 1e-5,
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        require_divisible(width, heads, heads)
        self.head_size = width // heads
        self.rotary_theta = rotary_theta
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.embedding_dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(
            Block(width, heads, heads, feed_forward, norm_epsilon, dropout) for _ in range(encoder_layers)
        )
        self.encoder_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.decoder = nn.ModuleList(
            CrossBlock(width, heads, feed_forward, norm_epsilon, dropout) for _ in range(decoder_layers)
        )
        self.norm = nn.RMSNorm(width, eps=norm_epsilon)
        initialise_blocks_(self, added=2 * encoder_layers + 3 * decoder_layers)

    def forward(self, source: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Returns the logits of the token after each one that is written.

        Args:
            source: int64 (N, S), each row begun by token 0 and padded with it.
            tokens: int64 (N, T), what is written so far, begun by token 0; None for its beginning alone.

        Returns:
            (N, T, V)
        """
        written = source[:, :1] if tokens is None else tokens
        return self.decode(written, *self.encode(source))

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Reads texts.

        Args:
            source: int64 (N, S), as in `forward`.

        Returns:
            A vector for each token, (N, S, D), where those of padding mean nothing; and which of them are looked at,
            bool (N, 1, 1, S).
        """
        is_seen = is_token(source)
        turns = self._turns(source)
        hidden: Tensor = self.embedding_dropout(self.embedding(source))
        for block in self.encoder:
            hidden = block(hidden, turns, is_seen)
        return self.encoder_norm(hidden), is_seen

    def decode(self, tokens: Tensor, memory: Tensor, is_seen: Tensor) -> Tensor:
        """Returns the logits of the token after each one, (N, T, V).

        Args:
            tokens: int64 (N, T), as in `forward`.
            memory: (N, S, D), as `encode` gives it.
            is_seen: bool (N, 1, 1, S), likewise.
        """
        turns = self._turns(tokens)
        hidden: Tensor = self.embedding_dropout(self.embedding(tokens))
        for block in self.decoder:
            hidden = block(hidden, turns, memory, is_seen)
        return functional.linear(self.norm(hidden), self.embedding.weight)

    def _turns(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None]  # (1, T)
        return turns_of(positions, self.head_size, self.rotary_theta)


class CrossBlock(nn.Module):
    """x + attention(norm(x)), then x + cross(norm(x), memory), then x + feed_forward(norm(x)); without biases.

    Args:
        width: D.
        heads: H.
        feed_forward: hidden width.
        norm_epsilon: of the norms.
        dropout: fraction dropped after each of the three.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, norm_epsilon: float, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.attention = RotaryAttention(width, heads, heads)
        self.cross_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.cross = CrossAttention(width, heads)
        self.feed_forward_norm = nn.RMSNorm(width, eps=norm_epsilon)
        self.feed_forward = GatedFeedForward(width, feed_forward)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, turns: tuple[Tensor, Tensor], memory: Tensor, is_seen: Tensor) -> Tensor:
        """Returns the written tokens' vectors (N, T, D), each having looked at those before it and at the memory."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), turns, None))
        hidden = hidden + self.dropout(self.cross(self.cross_norm(hidden), memory, is_seen))
        updated: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return updated


class CrossAttention(nn.Module):
    """Attention from what is written to what was read. Neither side is turned by its positions.

    Args:
        width: D.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width, bias=False)
        self.keys = nn.Linear(width, width, bias=False)
        self.values = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, memory: Tensor, is_seen: Tensor) -> Tensor:
        """Returns what each written token takes from the memory.

        Args:
            hidden: (N, T, D).
            memory: (N, S, D).
            is_seen: bool (N, 1, 1, S), which of it is looked at.

        Returns:
            (N, T, D)
        """
        queries, keys, values = (
            layer(given).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, H, T or S, D / H)
            for layer, given in ((self.queries, hidden), (self.keys, memory), (self.values, memory))
        )
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=is_seen)
        output: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return output

    def extra_repr(self) -> str:
        """Returns what no weight's shape shows."""
        return f"heads={self.heads}"


def is_token(source: Tensor) -> Tensor:
    """Returns which tokens are looked at, bool (N, 1, 1, S): all but padding, and the one that begins a text.

    Args:
        source: int64 (N, S).

    Example:
        >>> is_token(torch.tensor([[0, 7, 8, 0]])).tolist()
        [[[[True, True, True, False]]]]
    """
    places = torch.arange(source.shape[1], device=source.device)
    return ((source != TEXT_END) | (places == 0))[:, None, None]
