"""The next token of a text, by V logits at every position."""

from typing import Any, ClassVar

from torch import Tensor
from torchmetrics import MetricCollection

from maas.data.contents import Target
from maas.data.datamodule import BatchSource, PackedDataset
from maas.data.splits import Split
from maas.runtime.processors import Processor
from maas.training.heads.base import TaskHead
from maas.training.metrics import of_next_tokens


class GenerationHead(TaskHead):
    """Softmax over V logits at each of T positions; the loss is cross-entropy of the tokens that come next.

    Rows are texts, which are packed into sequences: logits are (N, T, V) and targets (N, T).
    """

    task: ClassVar[str] = "generation"
    postprocessor: ClassVar[str] = ""
    target: ClassVar[Target] = "none"

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns sequences that the split's texts are packed into."""
        return PackedDataset(split, processor)

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Returns nothing: what is made of logits is decided by who generates."""
        return {}

    def metrics(self) -> MetricCollection:
        """Returns the mean log-likelihood of a token, the fraction of right ones, and perplexity."""
        return of_next_tokens()

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (N · T, V) and int64 (N · T,)."""
        return logits.flatten(0, -2), targets.flatten()

    def activated(self, logits: Tensor) -> Tensor:
        """Returns the logits as they are."""
        return logits
