"""The next token of a text that is made of another one, by V logits at every position."""

from typing import ClassVar

from maas.data.contents import Target
from maas.data.datamodule import BatchSource, PairedDataset
from maas.data.splits import Split
from maas.runtime.processors import Processor
from maas.training.heads.generation import GenerationHead


class TranslationHead(GenerationHead):
    """Softmax over V logits at each of T positions of the wanted text, which the net is given up to each token.

    Rows are pairs of texts, each padded to the longest of its batch: logits are (N, T, V) and targets (N, T).
    """

    task: ClassVar[str] = "translation"
    target: ClassVar[Target] = "text"

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns the split's pairs."""
        return PairedDataset(split, processor)
