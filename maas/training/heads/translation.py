"""The next token of a text that is made of another one, by V logits at every position.

At each position the net is given the wanted text up to there, and not what it would have written (teacher forcing), so
that all positions are computed at once. What a net writes by itself is measured after training, as each token then
waits for the one before it.
"""

from typing import ClassVar

from maas.data.contents import Target
from maas.data.datamodule import BatchSource, PairedDataset
from maas.data.splits import Split
from maas.runtime.processors import Processor
from maas.training.heads.generation import GenerationHead


class TranslationHead(GenerationHead):
    """Softmax over V logits at each of T positions; the loss is −1/M Σ ln p(y_t | x, y_1 … y_t−1) over M tokens.

    Rows are pairs of texts x and y, each padded to the longest of its batch. The net's inputs are `source`, int64
    (N, S), the tokens of x, and `tokens`, int64 (N, T), those of y after the one that begins it; its logits are
    (N, T, V). Targets are int64 (N, T), the token of y after each one, the end at last, and `NO_TARGET` for padding.

    Args:
        labels: not read; characters of the training texts, where rows bring them along.

    Source:
        Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, arXiv:1409.3215, eq. 1.
    """

    task: ClassVar[str] = "translation"
    target: ClassVar[Target] = "text"

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns the split's pairs.

        Raises:
            ConfigError: the processor reads no pairs of texts.
            InputError: a text has more tokens than the processor takes.
        """
        return PairedDataset(split, processor)
